"""Submit many runs against ten concurrent invocations: `make burst`, or `python -m benchmarks.burst [--runs N]`.

A new AWS account runs ten functions at a time; everything beyond is throttled, and a design that does not expect it
loses runs. Each run here holds a machine for a moment only, so that what is measured is the controller. As many
machines as `--machines` are alive at a time, because each is real processes on this machine's cores.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from benchmarks.bench_cloud import REPOSITORY, BenchCloud
from runctl.client.client import Client
from runctl.client.connect import connect
from runctl.client.spec import RunSpec
from runctl.local.cloud import LocalCloud
from runctl.model.run import Run
from runctl.model.status import RunStatus

PROJECT: Final = REPOSITORY / ".runctl" / "burst" / "project"
LARGEST_GIB: Final = 3.0
LIMIT_S: Final = 900.0
"""For one run, from its submission: a throttled task is retried for minutes."""

_MEASURE_EVERY_S: Final = 2.0
_LOOK_EVERY_S: Final = 1.0
_SCRIPT: Final = "burst.py"
_TRAINING: Final = "print('trained', flush=True)\n"


class Memory:
    """The largest resident memory of the cloud while the context is open: server, functions and machines together."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.largest_mib = 0.0
        self._cloud = cloud
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _measure(self) -> None:
        while not self._over.wait(_MEASURE_EVERY_S):
            self.largest_mib = max(self.largest_mib, self._cloud.status().resident_mib or 0.0)


def one_run(client: Client) -> tuple[Run | None, str]:
    """Submit a run and follow it to its end; answer what became of it."""
    submitted = client.train(
        RunSpec(script=_SCRIPT, instance_types=("t3.medium",), project_dir=PROJECT, project="burst")
    )
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        run = client.run(submitted.run_id)
        if run.status.is_terminal:
            return run, run.status.value if run.reason is None else f"{run.status.value} {run.reason.value}"
        time.sleep(_LOOK_EVERY_S)
    return None, "did not end"


def throttles(cloud: BenchCloud, run: Run) -> int:
    """Count the steps of a run that found all ten invocations taken, and were tried again."""
    pages = (
        cloud.account()
        .client("stepfunctions")
        .get_paginator("get_execution_history")
        .paginate(executionArn=run.execution_arn)
    )
    failed = [event.get("taskFailedEventDetails", {}) for page in pages for event in page["events"]]
    return sum(details.get("error") == "Lambda.TooManyRequestsException" for details in failed)


def burst(runs: int, machines: int) -> tuple[dict[str, Any], bool]:
    """Submit, wait, and count how the runs ended."""
    cloud = BenchCloud(PROJECT)
    cloud.down()
    cloud.up()
    (PROJECT / _SCRIPT).write_text(_TRAINING)
    local = LocalCloud(PROJECT / ".runctl" / "local")
    client = Client(connect(environment=local.environment()), project="burst")
    began = time.monotonic()
    try:
        with Memory(local) as memory, ThreadPoolExecutor(machines) as pool:
            ended = list(pool.map(lambda _: one_run(client), range(runs)))
        took_s = time.monotonic() - began
        throttled = sum(throttles(cloud, run) for run, _ in ended if run is not None)
    finally:
        cloud.down()
    kinds = Counter(kind for _, kind in ended)
    seconds = sorted(
        (run.ended_at - run.created_at).total_seconds() for run, _ in ended if run is not None and run.ended_at
    )
    figures = {
        "runs": runs,
        "machines_at_a_time": machines,
        "seconds": round(took_s, 1),
        "largest_mib": round(memory.largest_mib),
        "ended": dict(kinds),
        "median_s": seconds[len(seconds) // 2] if seconds else None,
        "slowest_s": seconds[-1] if seconds else None,
        "throttled_steps": throttled,
    }
    whole = all(run is not None and run.status is RunStatus.SUCCEEDED for run, _ in ended)
    return figures, whole and memory.largest_mib <= LARGEST_GIB * 1024


def main() -> int:
    """Measure; 1 when a run did not succeed or the memory is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.burst", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=500, help="how many to submit (500)")
    parser.add_argument("--machines", type=int, default=40, help="how many may be alive at a time (40)")
    asked = parser.parse_args()
    figures, holds = burst(asked.runs, asked.machines)
    for name, figure in figures.items():
        print(f"{name.replace('_', ' '):<24} {figure}")
    (PROJECT.parent / "burst.json").write_text(json.dumps(figures, indent=2) + "\n")
    print("reached" if holds else "NOT reached")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
