"""Decide what next: gather the evidence, end the attempt with one reason, and launch, wait or conclude."""

from typing import Any

from runctl.controller.ports import Bucket, Clock, Commands, Machines, RunStore
from runctl.model.decision import StepState


def decide_next(
    state: StepState, *, runs: RunStore, machines: Machines, commands: Commands, bucket: Bucket, now: Clock
) -> dict[str, Any]:
    """Decide what next: gather the evidence, end the attempt with one reason, and launch, wait or conclude."""
    raise NotImplementedError
