"""What a spot interruption costs in training time: from the warning to the replacement's request, and the gap."""

import time
from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import Any, Final, cast

from benchmarks.bench_cloud import BenchCloud

SCALE: Final = 10
BOOT_S: Final = 40 / SCALE
NOTICE_S: Final = 120 / SCALE
"""A boot of 40 s and EC2's notice of 120 s, both ten times as fast."""

RUNS: Final = 3
"""Interruptions of each kind. The machine they were measured on should have nothing else to do."""

REQUEST_P95_LIMIT_S: Final = 2.0
SHORTER_AT_LEAST: Final = 3.0
SIGUSR1_GAP_LIMIT_S: Final = 10.0
LOOK_S: Final = 0.2
LIMIT_S: Final = 120.0

TICK: Final = """\
# Prints the time at each step and saves it; saves and leaves on SIGTERM; with "usr1" it trains on until then.
import os, pathlib, signal, sys, time
directory = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"])
resume = os.environ.get("RUNCTL_RESUME_FROM")
step = int(pathlib.Path(resume).read_text()) if resume else 0
until = step + 10 if resume else 100_000
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(True))
if "usr1" in sys.argv:
    signal.signal(signal.SIGUSR1, lambda *_: None)
while step < until and not leaving:
    time.sleep(0.1)
    step += 1
    print("tick", step, time.time(), flush=True)
    if step % 5 == 0 or leaving:
        part = directory / f"step-{step}.txt.tmp"
        part.write_text(str(step))
        part.rename(directory / f"step-{step}.txt")
sys.exit(75 if leaving else 0)
"""


def hand_over(cloud: BenchCloud) -> tuple[dict[str, Any], bool]:
    """Warning to replacement requested, and the training gap with and without a hand-over (boot 4 s, notice 12 s)."""
    (cloud.runctl.project / "tick.py").write_text(TICK)
    cloud.down()
    cloud.runctl.ask("local", "up", "--boot-delay", f"{BOOT_S}s")
    interrupted(cloud, ())  # not measured: functions start for the first time
    plain = [interrupted(cloud, ()) for _ in range(RUNS)]
    hearing = [interrupted(cloud, ("usr1",)) for _ in range(RUNS)]
    killed = [killed_without_notice(cloud) for _ in range(RUNS)]
    requests = sorted(request_s for request_s, _ in (*plain, *hearing))
    p95 = requests[ceil(0.95 * len(requests)) - 1]
    gap_usr1, gap_plain = (max(gap for _, gap in found) for found in (hearing, plain))
    # Without a hand-over the replacement is requested when the old machine is seen terminated. That is measured by a
    # machine that goes without notice; a script that leaves at the warning waits for the rest of the notice as well.
    after_the_end = min(killed)
    without = after_the_end + NOTICE_S
    figures = {
        "request_p95_s": p95,
        "requests_s": requests,
        "gap_usr1_s": gap_usr1,
        "gap_sigterm_s": gap_plain,
        "gap_after_the_machines_end_s": after_the_end,
        "gap_without_hand_over_s": without,
    }
    print(f"warning to replacement requested, p95 of {len(requests)}    {p95:6.2f} s   (at most {REQUEST_P95_LIMIT_S})")
    print(f"gap, script hears SIGUSR1                       {gap_usr1:6.2f} s   (at most {SIGUSR1_GAP_LIMIT_S})")
    print(f"gap, script hears SIGTERM only                  {gap_plain:6.2f} s")
    print(f"gap when requested at the machine's end         {after_the_end:6.2f} s")
    print(
        f"the same, after a notice of {NOTICE_S:.0f} s                {without:6.2f} s"
        f"   (at least {SHORTER_AT_LEAST} times the first)"
    )
    reached = p95 <= REQUEST_P95_LIMIT_S and gap_usr1 < SIGUSR1_GAP_LIMIT_S and gap_usr1 * SHORTER_AT_LEAST <= without
    return figures, reached


def interrupted(cloud: BenchCloud, options: tuple[str, ...]) -> tuple[float, float]:
    """Interrupt a run; answer the seconds from warning to request, and those between the two machines' steps."""
    run_id = _started(cloud, options)
    cloud.runctl.ask("local", "interrupt", run_id, "--notice", f"{NOTICE_S:.0f}s")
    cloud.wait(run_id)
    at = {kind: _first(cloud, run_id, kind) for kind in ("interruption_warning", "recovering")}
    launched = [event for event in _events(cloud, run_id) if event["kind"] == "launched"][1]
    return _time(launched["at"]) - at["interruption_warning"], _gap(cloud, run_id)


def killed_without_notice(cloud: BenchCloud) -> float:
    """Let a run's machine go without notice; answer the seconds between the two machines' steps."""
    run_id = _started(cloud, ())
    cloud.runctl.ask("local", "kill", run_id)
    cloud.wait(run_id)
    return _gap(cloud, run_id)


def _started(cloud: BenchCloud, options: tuple[str, ...]) -> str:
    """Start a spot run and wait for its first checkpoint."""
    words = ("train", "tick.py", "--instance-type", "t3.medium", "--spot", "--yes", "--", "go", *options)
    run_id = cast("str", cloud.runctl.ask(*words)["run_id"])
    _until(lambda: any(event["kind"] == "checkpoint_saved" for event in _events(cloud, run_id)))
    return run_id


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not seen in {LIMIT_S:.0f} s")
        time.sleep(LOOK_S)


def _gap(cloud: BenchCloud, run_id: str) -> float:
    """Seconds without a step between the first machine's last and the next machine's first."""
    first, second = (
        [
            float(line["text"].split()[2])
            for line in cloud.runctl.ask("logs", run_id, "--attempt", number)["lines"]
            if line["text"].startswith("tick ")
        ]
        for number in ("1", "2")
    )
    return min(second) - max(first)


def _events(cloud: BenchCloud, run_id: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", cloud.runctl.ask("events", run_id)["events"])


def _first(cloud: BenchCloud, run_id: str, kind: str) -> float:
    return _time(next(event["at"] for event in _events(cloud, run_id) if event["kind"] == kind))


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
