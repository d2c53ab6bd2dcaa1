"""Small training scripts as a customer might have them; each is quick, so that a test is."""

from pathlib import Path
from typing import Final

SUCCEED: Final = """\
import os, pathlib
print("hello from", os.environ["RUNCTL_RUN_ID"], "attempt", os.environ["RUNCTL_ATTEMPT"])
directory = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"])
(directory / "step-1.txt.tmp").write_text("weights")
(directory / "step-1.txt.tmp").rename(directory / "step-1.txt")
print("done")
"""

FAIL: Final = """\
import sys
print("line one")
print("could not read the labels", file=sys.stderr)
sys.exit(3)
"""

COUNT: Final = """\
# Counts up; every step is a checkpoint; resumes; saves and leaves on SIGTERM.
import os, pathlib, signal, sys, time
steps, pause = int(sys.argv[1]), float(sys.argv[2])
directory = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"])
resume = os.environ.get("RUNCTL_RESUME_FROM")
step = int(pathlib.Path(resume).read_text()) if resume else 0
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(True))
if "usr1" in sys.argv:
    signal.signal(signal.SIGUSR1, lambda *_: print("asked to save", flush=True))
print("starting at", step, flush=True)
while step < steps and not leaving:
    time.sleep(pause)
    step += 1
    part = directory / f"step-{step}.txt.tmp"
    part.write_text(str(step))
    part.rename(directory / f"step-{step}.txt")
    print("step", step, flush=True)
if leaving:
    print("saved at", step, flush=True)
    sys.exit(75)
(pathlib.Path(os.environ["RUNCTL_OUTPUT_DIR"]) / "report.txt").write_text(f"counted to {step}")
print("finished at", step, flush=True)
"""

DEAF: Final = """\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("listening to nobody", flush=True)
time.sleep(600)
"""


WAIT: Final = """\
# The first attempt waits until it is asked to leave; a later one has nothing left to do.
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
if os.environ["RUNCTL_ATTEMPT"] == "1":
    time.sleep(600)
"""


def write_project(root: Path) -> None:
    """Lay a project with these scripts, and a configuration that targets the local cloud, below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / ".runctl.toml").write_text('target = "local"\n')
    for name, text in {"succeed": SUCCEED, "fail": FAIL, "count": COUNT, "deaf": DEAF, "wait": WAIT}.items():
        (root / f"{name}.py").write_text(text)


LOCAL_DIR: Final = "../.runctl/local"
"""Where a project beside the scripts finds their local cloud."""

SLOW_BACKEND: Final = """\
# Builds one empty wheel, slowly: an environment that takes its time to set up, without any download.
import time, zipfile

NAME = "slow-1.0"

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    time.sleep(6)
    name = f"{NAME}-py3-none-any.whl"
    files = {
        f"{NAME}.dist-info/METADATA": "Metadata-Version: 2.1\\nName: slow\\nVersion: 1.0\\n",
        f"{NAME}.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{NAME}.dist-info/RECORD", "".join(f"{path},,\\n" for path in files))
    return name
"""


TELL: Final = """\
import sys
from pathlib import Path
import slow
print("training with", Path(slow.__file__).name, sys.prefix != sys.base_prefix)
print("made by the set-up:", Path("made.txt").read_text() if Path("made.txt").exists() else None)
"""

SHOW: Final = """\
# Says of each variable that is named how it begins, but not what it holds.
import os, sys
for name in sys.argv[1:]:
    print(f"{name}: {len(os.environ[name])} characters, {os.environ[name][:3]!r}")
"""

PEP_723: Final = """\
# /// script
# requires-python = ">=3.11"
# dependencies = ["slow"]
# [tool.uv.sources]
# slow = { path = "package" }
# ///
"""

LOCKED: Final = """\
[project]
name = "kites"
version = "0"
requires-python = ">=3.11"
dependencies = ["slow"]
[tool.uv.sources]
slow = { path = "package" }
"""

LOCK: Final = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "kites"
version = "0"
source = { virtual = "." }
dependencies = [
    { name = "slow" },
]

[package.metadata]
requires-dist = [{ name = "slow", directory = "package" }]

[[package]]
name = "slow"
version = "1.0"
source = { directory = "package" }
"""


def write_packaged_project(folder: Path, files: dict[str, str]) -> None:
    """Lay a project beside the scripts with a package of its own, and these files, which say that it is wanted."""
    _write_package(
        folder, SLOW_BACKEND.replace("time.sleep(6)", "").replace("files = {", 'files = {\n        "slow.py": "",')
    )
    for name, text in files.items():
        (folder / name).write_text(text)


def write_slow_project(folder: Path) -> None:
    """Lay a project beside the scripts whose environment takes six seconds to set up."""
    _write_package(folder, SLOW_BACKEND)
    (folder / "count.py").write_text(COUNT)
    (folder / "requirements.txt").write_text("./package\n")


def _write_package(folder: Path, backend: str) -> None:
    package = folder / "package"
    package.mkdir(parents=True, exist_ok=True)
    (folder / ".runctl.toml").write_text(f'target = "local"\n[local]\ndir = "{LOCAL_DIR}"\n')
    (package / "backend.py").write_text(backend)
    (package / "pyproject.toml").write_text(
        '[project]\nname = "slow"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
