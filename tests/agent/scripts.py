"""Trainings of a fraction of a second."""

CHECKPOINT = """\
import os, pathlib
pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"], "step-5.pt").write_text("weights")
pathlib.Path(os.environ["RUNCTL_OUTPUT_DIR"], "report").mkdir()
pathlib.Path(os.environ["RUNCTL_OUTPUT_DIR"], "report", "final.txt").write_text("done")
print("step 5/5 loss 0.125")
"""
SAVES_AND_LEAVES = """\
import pathlib, os, signal, sys, time
def leave(*_):
    pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"], "step-9.pt").write_text("weights")
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
print("training", flush=True)
time.sleep(60)
"""
HEARS_SIGUSR1 = SAVES_AND_LEAVES.replace(
    'print("training"', 'signal.signal(signal.SIGUSR1, lambda *_: print("saving", flush=True))\nprint("training"'
)
WRITES_OUTPUT_FIRST = SAVES_AND_LEAVES.replace(
    'print("training"', 'pathlib.Path(os.environ["RUNCTL_OUTPUT_DIR"], "o").write_text("o")\nprint("training"'
)
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('training', flush=True); time.sleep(60)"
)
