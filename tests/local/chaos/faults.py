"""Faults on the local target, each with the reasons that it may lead to: what was done is known.

Real processes, real time: a fault strikes at a random moment of its run's life, from before the machine is up to after
its training is over.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from runctl.errors import RunctlError
from runctl.model.attempt import Attempt
from runctl.model.run import Run
from runctl.model.status import Reason
from tests.local.runs.cloud import Cloud

NOTICE_S: Final = 6.0
SHORTAGE_S: Final = 8.0


@dataclass(frozen=True)
class Fault:
    """One kind of fault: how it is done to a run, and what run and attempts may say of it afterwards."""

    name: str
    strike: Callable[[Cloud, Run, Attempt], object]
    of_run: frozenset[Reason]
    of_attempts: frozenset[Reason]
    """Beside COMPLETED and the run's own."""
    arguments: tuple[str, ...] = ()
    """What the script is told instead of its usual arguments."""


def _nothing(_cloud: Cloud, _run: Run, _attempt: Attempt) -> None:
    return None


def _machine(attempt: Attempt) -> str:
    assert attempt.instance_id is not None
    return attempt.instance_id


def _interrupt(cloud: Cloud, _run: Run, attempt: Attempt) -> None:
    cloud.local.interrupt(_machine(attempt), NOTICE_S)


def _kill(cloud: Cloud, _run: Run, attempt: Attempt) -> None:
    cloud.local.kill(_machine(attempt))


def _kill_silently(cloud: Cloud, _run: Run, attempt: Attempt) -> None:
    cloud.local.kill(_machine(attempt), silent=True)


def _delete(cloud: Cloud, _run: Run, attempt: Attempt) -> None:
    cloud.client("ec2").terminate_instances(InstanceIds=[_machine(attempt)])


def _cancel(cloud: Cloud, run: Run, _attempt: Attempt) -> None:
    cloud.api.cancel(run.run_id)


def _cancel_twice(cloud: Cloud, run: Run, _attempt: Attempt) -> None:
    cloud.api.cancel(run.run_id)
    cloud.api.cancel(run.run_id, now=True)


def _stop_execution(cloud: Cloud, run: Run, _attempt: Attempt) -> None:
    cloud.client("stepfunctions").stop_execution(executionArn=run.execution_arn)


def _shortage(cloud: Cloud, run: Run, attempt: Attempt) -> None:
    cloud.local.no_capacity([run.spec.instance_types[0]], SHORTAGE_S)
    cloud.local.interrupt(_machine(attempt), NOTICE_S)


_DONE: Final = frozenset({Reason.COMPLETED})
_TAKEN: Final = frozenset({Reason.SPOT_INTERRUPTION})
_LOST: Final = frozenset({Reason.MACHINE_LOST})
_CANCELLED: Final = frozenset({Reason.CANCELLED, Reason.COMPLETED})

NONE: Final = Fault("none", _nothing, _DONE, frozenset())
FAULTS: Final = (
    Fault("interrupted", _interrupt, _DONE, _TAKEN),
    Fault("killed", _kill, _DONE, _LOST),
    Fault("killed silently", _kill_silently, _DONE, _LOST | {Reason.MACHINE_NOT_READY}),
    Fault("deleted by hand", _delete, _DONE, _LOST),
    Fault("cancelled", _cancel, _CANCELLED, frozenset()),
    Fault("cancelled twice", _cancel_twice, _CANCELLED, frozenset()),
    Fault("execution stopped", _stop_execution, _CANCELLED, frozenset()),
    Fault("no capacity for the next machine", _shortage, _DONE, _TAKEN | {Reason.CAPACITY}),
    Fault("fails by itself", _nothing, frozenset({Reason.USER_ERROR}), frozenset(), ("fail",)),
)


def draw(chance: random.Random) -> Fault:
    """Two runs of three meet a fault."""
    return NONE if chance.random() < 1 / 3 else chance.choice(FAULTS)


def strike(fault: Fault, cloud: Cloud, run: Run, attempt: Attempt) -> None:
    """Do it; what is over already cannot be struck any more."""
    with suppress(RunctlError, ClientError):
        fault.strike(cloud, run, attempt)


def wrong(fault: Fault, run: Run, attempts: tuple[Attempt, ...]) -> list[str]:
    """Tell the reasons that this fault does not explain."""
    found: list[Any] = []
    if run.reason not in fault.of_run:
        found.append(f"{run.run_id} ({fault.name}) ended as {run.reason}: {run.message}")
    allowed = fault.of_attempts | fault.of_run | _DONE
    found += [
        f"{run.run_id} ({fault.name}): attempt {each.number} ended as {each.reason}: {each.evidence}"
        for each in attempts
        if each.reason not in allowed
    ]
    return found
