"""Admit a run: check that it may begin, and create its first attempt."""

from typing import Any

from runctl.controller.ports import Clock, RunStore
from runctl.model.decision import StepState


def admit_run(state: StepState, *, runs: RunStore, now: Clock) -> dict[str, Any]:
    """Admit a run: check that it may begin, and create its first attempt."""
    raise NotImplementedError
