"""How soon a training hears of EC2's notice: by the metadata service alone, and by the controller's command alone."""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.bench_cloud import BenchCloud
from runctl.agent.request_files import Request
from tests.agent.attempt import Attempt

TRIES: Final = 10
LIMIT_S: Final = {"metadata": 5.0, "command": 1.0}
"""By the metadata alone, and by the command once it is on the machine."""

TRAINING: Final = """\
import os, pathlib, signal, sys, time
def leave(*_):
    pathlib.Path(os.environ["RUNCTL_OUTPUT_DIR"], "heard").write_text(str(time.monotonic()))
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
print("training", flush=True)
time.sleep(60)
"""


def notice(_cloud: BenchCloud) -> tuple[dict[str, Any], bool]:
    """Seconds from EC2's notice to the training's first signal, in one agent with a real training."""
    chance = Random(1)
    figures: dict[str, Any] = {}
    reached = True
    for name, warn in {"metadata": _by_metadata, "command": _by_command}.items():
        took = [_once(warn, chance.random()) for _ in range(TRIES)]
        figures[name] = {"worst_s": max(took), "median_s": statistics.median(took), "all_s": took}
        shown = f"worst of {TRIES} {max(took):5.2f} s, median {statistics.median(took):5.2f} s"
        print(f"by the {name:<10} {shown}   (at most {LIMIT_S[name]:.0f})")
        reached &= max(took) <= LIMIT_S[name]
    return figures, reached


def _once(warn: Callable[[Attempt], None], after_s: float) -> float:
    warned: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        attempt = Attempt(Path(folder), TRAINING)

        def begin() -> None:
            time.sleep(after_s)  # at any moment between two looks
            warned.append(time.monotonic())
            warn(attempt)

        attempt.when_training(lambda: threading.Thread(target=begin, daemon=True).start())
        attempt.run()
        heard = float((attempt.folder.output / "heard").read_text())
    return heard - warned[0]


def _by_metadata(attempt: Attempt) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=120)).strftime("%Y-%m-%dT%H:%M:%SZ")
    attempt.metadata.items["spot/instance-action"] = json.dumps({"action": "terminate", "time": at})


def _by_command(attempt: Attempt) -> None:
    attempt.ask(Request.NOTICE)
