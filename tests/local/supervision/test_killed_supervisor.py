"""The supervisor is killed with SIGKILL at random moments, and neither the training nor anything of it is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.agent.supervised import Place

pytestmark = pytest.mark.local_cloud

KILLS = 10
LINES = 150
LIMIT_S = 90.0

TRAINING = f"""\
import os, pathlib, sys, time

checkpoints = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"])
for step in range(1, {LINES} + 1):
    print(f"step {{step}}/{LINES} loss {{1 / step:.4f}}")
    if step % 10 == 0:
        new = checkpoints / f"step-{{step:04d}}.pt.tmp"
        new.write_text(f"weights of step {{step}}" * 1000)
        new.rename(checkpoints / f"step-{{step:04d}}.pt")
    time.sleep(0.08)
pathlib.Path(os.environ["RUNCTL_OUTPUT_DIR"], "report.txt").write_text("done")
sys.exit(3)
"""


def _begin(root: Path) -> tuple[Place, "subprocess.Popen[bytes]"]:
    place = Place(root)
    place.prepare(TRAINING)
    command = [sys.executable, "-m", "tests.agent.supervised", "guard", str(root)]
    with (root / "guard.log").open("ab") as log:
        return place, subprocess.Popen(command, stdout=log, stderr=log)


def _kill_now_and_then(place: Place, guard: "subprocess.Popen[bytes]", chance: random.Random) -> int:
    killed = 0
    begun_at = time.monotonic()
    for at in sorted(chance.uniform(0.3, LINES * 0.08 + 1.0) for _ in range(KILLS)):
        time.sleep(max(0.0, begun_at + at - time.monotonic()))
        limit = time.monotonic() + 5
        while (pid := place.supervisor) is None and guard.poll() is None and time.monotonic() < limit:
            time.sleep(0.01)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _of_the_training(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("runctl: ")]


def test_ten_kills_change_neither_log_nor_checkpoints_nor_exit_code(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    sys.stderr.write(f"seed {seed}\n")
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    calm, calm_guard = _begin(tmp_path / "calm")
    killed, killed_guard = _begin(tmp_path / "killed")

    kills = _kill_now_and_then(killed, killed_guard, random.Random(seed))
    for guard in (calm_guard, killed_guard):
        guard.wait(LIMIT_S)

    about = f"seed {seed}\n{(tmp_path / 'killed' / 'guard.log').read_text()}"
    assert kills >= KILLS // 2, about
    expected = [f"step {step}/{LINES} loss {1 / step:.4f}" for step in range(1, LINES + 1)]
    for place in (calm, killed):
        (copy,) = (key for key in place.store.names() if "/logs/" in key)
        assert _of_the_training(place.store.get(copy).decode().splitlines()) == expected, about
        assert _of_the_training(place.stream.lines) == expected, about
        assert place.folder.exit_code.read_text() == "3\n", about
        assert {event["data"]["exit_code"] for event in place.bus.of("Training Ended")} == {3}, about
        assert place.power.path.exists(), about
    assert killed.checkpoints == calm.checkpoints, about
    assert sorted(killed.checkpoints) == [f"step-{step:04d}.pt" for step in (LINES - 20, LINES - 10, LINES)], about
