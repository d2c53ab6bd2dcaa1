"""Count calls, seconds and memory of one cost watch over 1,000 open runs: `python -m benchmarks.cost_watch`.

Over ports in memory, so that seconds are those of the functions' own work. Calls are counted at the ports; one that
pages counts once, and DynamoDB and EC2 answer hundreds of items a page. Ends with 1 when a figure is over its limit, or
when twice the runs make more calls. Seconds want a quiet machine.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from runctl.model.attempt import FactKind
from runctl.model.ids import InstanceId, RunId
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import Tag
from runctl.model.status import RunStatus
from tests.factories import START, after, make_attempt, make_run, make_spec, with_facts
from tests.fakes.world import World

RUNS: Final = 1_000
POOLS: Final = 10
SECONDS_LIMIT: Final = 5.0
MEMORY_LIMIT_MIB: Final = 256.0
_PORTS: Final = ("runs", "machines", "prices", "metrics", "notifications", "schedules", "commands", "tokens", "bucket")


class Counted:
    """A port that counts the calls of its methods."""

    def __init__(self, name: str, port: Any, calls: Counter[str]) -> None:
        self._name, self._port, self._calls = name, port, calls

    def __getattr__(self, name: str) -> Any:
        """Answer a method that counts, or what is no method as it is; the ledger of budgets is a port of its own."""
        found = getattr(self._port, name)
        if name == "budgets":
            return Counted("budgets", found, self._calls)
        return self._counting(name, found) if callable(found) else found

    def _counting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls[f"{self._name}.{name}"] += 1
            return method(*args, **kwargs)

        return call


def filled(runs: int, pools: int) -> World:
    """Make a deployment in which so many runs train, spread over so many pools."""
    world = World()
    for number in range(runs):
        run_id, instance_id = RunId(f"r-{number:012d}"), InstanceId(f"i-{number:017x}")
        spec = make_spec(max_runtime_s=86_400)
        world.runs.create_run(make_run(run_id=run_id, spec=spec))
        attempt = make_attempt(run_id=run_id, instance_id=instance_id, instance_type=f"m{number % pools}.large")
        run = world.runs.run(run_id)
        if run is None:
            raise AssertionError(run_id)
        training = run.model_copy(update={"status": RunStatus.RUNNING, "attempt": attempt.number})
        world.runs.begin_attempt(training, with_facts(attempt, FactKind.STARTED))
        tags = {Tag.RUN.value: str(run_id)}
        world.machines.add(
            MachineView(instance_id=instance_id, state=MachineState.RUNNING, launched_at=START, tags=tags)
        )
    world.clock.move((after(1_800) - world.clock()) / timedelta(seconds=1))
    return world


def watched(runs: int, pools: int) -> tuple[float, Counter[str]]:
    """Watch once, so that every schedule is set, and once more: answers the seconds and the calls of the second."""
    world, calls = filled(runs, pools), Counter[str]()
    world.watch_costs()
    world.watch_limits()
    world.clock.move(300)
    for name in _PORTS:
        setattr(world, name, Counted(name, getattr(world, name), calls))
    began = time.perf_counter()
    answer = world.watch_costs()
    world.watch_limits()
    if answer["open_runs"] != runs:
        raise AssertionError(answer)
    return time.perf_counter() - began, calls


def main() -> int:
    """Print what was measured."""
    seconds, calls = watched(RUNS, POOLS)
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _, of_twice = watched(2 * RUNS, POOLS)
    print(f"{RUNS} open runs in {POOLS} pools: {seconds:.2f} s (at most {SECONDS_LIMIT:.0f}), ", end="")
    print(f"{memory_mib:.0f} MiB with all that lies in memory in DynamoDB's place (at most {MEMORY_LIMIT_MIB:.0f})")
    print(f"{calls.total()} calls; over {2 * RUNS} open runs {of_twice.total()}")
    for name, count in sorted(calls.items()):
        print(f"  {name:<32} {count}")
    reached = seconds <= SECONDS_LIMIT and memory_mib <= MEMORY_LIMIT_MIB and of_twice.total() <= calls.total()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
