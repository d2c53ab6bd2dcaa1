"""Bugs planted on purpose, one at a time, to see that the simulation finds them: `make chaos-bugs`.

Each is a mistake that somebody could make. The document docs/reliability.md lists them with the seeds that find them.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from unittest.mock import patch

from runctl.controller import (
    conclusion,
    decide_next,
    start_training,
    strays,
)
from runctl.model import timing
from runctl.model.attempt import Attempt, FactKind
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.names import Tag
from runctl.model.run import Run
from runctl.policy import facts, reaping, resume
from tests.chaos.ec2 import PAGE, Ec2
from tests.chaos.functions import quiet_for_good
from tests.chaos.story import Result, tell
from tests.fakes.runs import InMemoryRunStore

LIMIT_RUNS = 2_000


@dataclass(frozen=True)
class Bug:
    """A mistake: its name, what it is, and how it is made: module or class, name, what stands there instead."""

    name: str
    what: str
    changes: tuple[tuple[Any, str, Any], ...]


def _unconditional(store: InMemoryRunStore, run: Run) -> Run:
    return run.model_copy(update={"version": run.version + 1}, deep=True)


def _newest_attempt(store: InMemoryRunStore, instance_id: InstanceId) -> tuple[RunId, AttemptNumber] | None:
    owner = ATTEMPT_OF_MACHINE(store, instance_id)
    return None if owner is None else (owner[0], store.peek(owner[0]).attempt)


def _says_spot(departure: facts.Departure) -> bool:
    return "spot" in departure.state_message.lower()


def _first_page(ec2: Ec2) -> Iterator[Any]:
    return islice((each for page in ec2.pages() for each in page), PAGE)


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _no(*_args: Any, **_kwargs: Any) -> bool:
    return False


def _by_clock(manifests: Any) -> tuple[Any, ...]:
    return tuple(sorted(manifests, key=lambda manifest: manifest.saved_at, reverse=True))


def _every_time_anew(_machines: Any, _attempt: Attempt) -> None:
    return None


def _once(read_and_write: Callable[[], Any]) -> Any:
    return read_and_write()


def _without_report(attempt: Attempt, **_ports: Any) -> tuple[Attempt, None]:
    return attempt, None


def _without_protection(sighting: reaping.Sighting, stack_name: str, now: datetime) -> reaping.Judgement:
    tags = {name: value for name, value in sighting.view.tags.items() if name != Tag.PROTECTED}
    unprotected = replace(sighting, view=sighting.view.model_copy(update={"tags": tags}))
    return reaping.judge(unprotected, stack_name, now)


def _gone_wins(attempt: Attempt) -> Any:
    if FactKind.GONE in attempt.facts:
        return None
    return REPORT(attempt)


REPORT = facts.report
ATTEMPT_OF_MACHINE = InMemoryRunStore.attempt_of_machine

BUGS = (
    Bug(
        "a condition is dropped",
        "the table takes every write of a run, whatever stands there",
        ((InMemoryRunStore, "_next_version", _unconditional),),
    ),
    Bug(
        "the attempt number is ignored",
        "what is said of an old attempt's machine is taken for the current one's",
        ((InMemoryRunStore, "attempt_of_machine", _newest_attempt),),
    ),
    Bug(
        "endings are classified by message text",
        "a machine counts as taken back when EC2's words speak of spot",
        ((facts.Departure, "is_spot_interruption", property(_says_spot)),),
    ),
    Bug(
        "the reaper reads one page",
        "machines beyond the first page of DescribeInstances are never looked at",
        ((Ec2, "tagged_machines", _first_page),),
    ),
    Bug(
        "there is no grace",
        "what was written a moment ago already counts as left behind",
        ((timing, "REAPER_GRACE", timedelta(0)),),
    ),
    Bug(
        "a protected machine is not spared",
        "the tag runctl:protected is not looked for",
        ((strays, "judge", _without_protection),),
    ),
    Bug(
        "the fence stands open",
        "the machine that takes over trains at once, while the old one saves and trains on",
        ((start_training, "_must_fence", _no),),
    ),
    Bug(
        "the old machine is not waited for",
        "another machine is launched while the old one may still train",
        ((decide_next, "_make_sure_it_is_going", _nothing),),
    ),
    Bug(
        "a conclusion ends no machine",
        "a run ends and its machine runs on",
        ((conclusion, "_end_machines", _nothing),),
    ),
    Bug(
        "the newest checkpoint is chosen by its time",
        "the clocks of two machines decide which checkpoint is the newer one",
        ((resume, "newest_first", _by_clock),),
    ),
    Bug(
        "the end in the bucket is not looked for",
        "a report of which the event was lost is never found",
        tuple((m, "look_again", _without_report) for m in (decide_next, conclusion)),
    ),
    Bug(
        "a machine's end outweighs its report",
        "a training that ended well on a machine that then went counts as lost",
        ((facts, "report", _gone_wins),),
    ),
)


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Plant a bug for a while."""
    patches = [patch.object(where, name, instead) for where, name, instead in bug.changes]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in reversed(patches):
            each.stop()


def find(bug: Bug, first: int = 1, limit: int = LIMIT_RUNS) -> tuple[Result | None, int]:
    """Let stories happen until the bug is found; answers the story that shows it, and how many runs that took."""
    runs, seed = 0, first
    with planted(bug):
        while runs < limit:
            result = tell(seed)
            runs += result.runs
            seed += 1
            if result.violation:
                return result, runs
    return None, runs


def main(arguments: list[str] | None = None) -> int:
    """Plant each; 1 when one was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.bugs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=LIMIT_RUNS, help=f"how many runs each may take ({LIMIT_RUNS})")
    asked = parser.parse_args(arguments)
    missed = 0
    quiet_for_good()
    for bug in BUGS:
        result, runs = find(bug, limit=asked.runs)
        missed += result is None
        shown = "NOT FOUND" if result is None else f"seed {result.seed}: {result.violation}"
        print(f"{bug.name} (after {runs} runs)\n    {bug.what}\n    {shown}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
