"""Spot interruptions and rebalance recommendations: the warning now, the end when the notice is over."""

import asyncio
from datetime import timedelta

from runctl.local.machines.clock import now
from runctl.local.machines.events import EventPublisher
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import SPOT_NO_CAPACITY, SPOT_TERMINATION, Machine


class Interruptions:
    """Takes spot machines back."""

    def __init__(self, keeper: MachineKeeper, events: EventPublisher) -> None:
        self._keeper = keeper
        self._events = events
        self._ends: dict[str, asyncio.TimerHandle] = {}

    def warn(self, machine: Machine, notice_s: float) -> None:
        """Mark a spot machine for interruption; in `notice_s` seconds EC2 shuts it down."""
        moment = now()
        machine.interrupted_at = (moment + timedelta(seconds=notice_s)).isoformat()
        machine.set_spot_status(
            SPOT_NO_CAPACITY,
            "Your Spot Instance was terminated because there is no Spot capacity available that matches your request.",
            moment,
        )
        self._keeper.save(machine)
        self._events.spot_interruption_warned(machine)
        loop = asyncio.get_running_loop()
        self._ends[machine.instance_id] = loop.call_later(notice_s, self._take_back, machine)

    def recommend_rebalance(self, machine: Machine) -> None:
        """Tell that a spot machine is likelier than others to be interrupted."""
        machine.rebalance_at = now().isoformat()
        self._keeper.save(machine)
        self._events.rebalance_recommended(machine)

    def shutdown(self) -> None:
        """Forget all ends."""
        for handle in self._ends.values():
            handle.cancel()

    def _take_back(self, machine: Machine) -> None:
        del self._ends[machine.instance_id]
        self._keeper.terminate(machine, SPOT_TERMINATION, by="Server initiated")
