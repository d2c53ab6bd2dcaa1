"""Launch the attempt's machine: the launch try is written whole before the call and replayed unchanged."""

from typing import Any

from runctl.controller.ports import Clock, Machines, Prices, RunStore
from runctl.controller.settings import ControllerSettings
from runctl.model.decision import StepState


def launch_machine(
    state: StepState, *, runs: RunStore, machines: Machines, prices: Prices, settings: ControllerSettings, now: Clock
) -> dict[str, Any]:
    """Launch the attempt's machine: the launch try is written whole before the call and replayed unchanged."""
    raise NotImplementedError
