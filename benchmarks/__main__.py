"""Measure what the local target costs: `make bench`, or `python -m benchmarks NAME…`, one of those below.

Each prints what it measured beside what it must reach, and writes it to `.runctl/bench/<name>.json`. A figure over its
limit ends it with 1.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.bench_cloud import REPOSITORY, BenchCloud
from benchmarks.code_sync import code_sync
from benchmarks.hand_over import hand_over
from benchmarks.notice import notice
from runctl.model.names import Function
from tests.demo.command_line import CommandFailed

WARM_LIMIT_S: Final = 5.0
COLD_LIMIT_S: Final = 12.0
MEMORY_LIMIT_MIB: Final = 300.0
FOLDER: Final = REPOSITORY / ".runctl" / "bench"
IDLE_S: Final = 120.0
SCHEDULED: Final = (Function.WATCH_COSTS.value, Function.REAP_MACHINES.value)
"""Functions that run by the clock, whatever trains."""
WITH_PACKAGES: Final = "training/stamp.py"
SHORT_S: Final = 5
LONG_S: Final = 60


def first_line(cloud: BenchCloud) -> tuple[dict[str, Any], bool]:
    """Seconds from pressing enter on `runctl train` to the first line that the training prints."""
    cloud.up()
    _submission_to_first_line(cloud, WITH_PACKAGES)  # fills the cache of packages
    cloud.down()
    figures: dict[str, Any] = {"up_s": cloud.up()}
    print(f"local up{'':<34} {figures['up_s']:6.2f} s")
    reached = True
    for name, script in {"Python alone": "stamp.py", "numpy and scikit-learn, cached": WITH_PACKAGES}.items():
        cold = _submission_to_first_line(cloud, script)
        warm = [_submission_to_first_line(cloud, script) for _ in range(5)]
        print(f"{name:<30} just after up {cold:6.2f} s   (at most {COLD_LIMIT_S:.0f})")
        print(f"{'':<30} worst of {len(warm)}    {max(warm):6.2f} s   (at most {WARM_LIMIT_S:.0f})")
        figures[script] = {"cold_s": cold, "warm_s": warm}
        reached &= cold <= COLD_LIMIT_S and max(warm) <= WARM_LIMIT_S
        cloud.down()
        cloud.up()
    return figures, reached


def _submission_to_first_line(cloud: BenchCloud, script: str) -> float:
    submitted = time.time()
    run_id = cloud.start(script, "1")
    cloud.wait(run_id)
    (began,) = [float(line.split()[1]) for line in cloud.log(run_id) if line.startswith("began ")]
    return began - submitted


def memory(cloud: BenchCloud) -> tuple[dict[str, Any], bool]:
    """Resident memory of the whole local cloud after `up`, with a run, and two minutes after the last one."""
    cloud.down()
    cloud.up()
    fresh = cloud.resident_mib()
    run_id = cloud.start("stamp.py", "3")
    cloud.wait(run_id)
    busy = cloud.resident_mib()
    time.sleep(IDLE_S)
    idle = cloud.resident_mib()
    print(f"resident after up                    {fresh:6.0f} MiB (at most {MEMORY_LIMIT_MIB:.0f})")
    print(f"resident just after a run            {busy:6.0f} MiB")
    print(f"resident {IDLE_S:.0f} s after it              {idle:6.0f} MiB (at most {MEMORY_LIMIT_MIB:.0f})")
    measured = {"after_up_mib": fresh, "after_run_mib": busy, "idle_mib": idle}
    return measured, max(fresh, idle) <= MEMORY_LIMIT_MIB


def durations(cloud: BenchCloud) -> tuple[dict[str, Any], bool]:
    """State transitions, invocations and writes of a short and a long training: they must not grow with its length."""
    cloud.up()
    account = cloud.account()
    # Not measured: while functions start for the first time, a machine announces itself once more than it has to later.
    cloud.wait(cloud.start("stamp.py", "0"))
    columns: list[dict[str, int]] = []
    for seconds in (SHORT_S, LONG_S):
        before = account.invocations()
        run = cloud.wait(cloud.start("stamp.py", str(seconds)))
        time.sleep(3)  # the machine's last events come after the run's end
        invoked = account.invocations() - before
        for name in [name for name in invoked if name.endswith(SCHEDULED)]:
            del invoked[name]
        writes = account.writes(run["run_id"])
        columns.append(
            {
                "state transitions": account.transitions(run["execution_arn"]),
                **{f"invocations of {name}": count for name, count in sorted(invoked.items())},
                **{f"writes: {name}": count for name, count in writes.items()},
            }
        )
    short, long = columns
    names = list(dict.fromkeys([*short, *long]))
    width = max(map(len, names))
    print(f"{'':<{width}}  {SHORT_S:>5} s  {LONG_S:>5} s")
    for name in names:
        print(f"{name:<{width}}  {short.get(name, 0):>7}  {long.get(name, 0):>7}")
    return {f"{SHORT_S}_s": short, f"{LONG_S}_s": long}, short == long


BENCHMARKS: Final[dict[str, Callable[[BenchCloud], tuple[dict[str, Any], bool]]]] = {
    "first_line": first_line,
    "durations": durations,
    "memory": memory,
    "code_sync": code_sync,
    "notice": notice,
    "hand_over": hand_over,
}


def main() -> int:
    """Measure; 1 when something is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the local target.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if strange := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {strange[0]}; there are {', '.join(BENCHMARKS)}")
    cloud = BenchCloud(FOLDER / "figures")  # of its own: another benchmark may run meanwhile
    reached = True
    try:
        for name in names:
            print(f"{name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}", flush=True)
            figures, holds = BENCHMARKS[name](cloud)
            (FOLDER / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
            print("reached\n" if holds else "NOT reached\n", flush=True)
            reached &= holds
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        cloud.down()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
