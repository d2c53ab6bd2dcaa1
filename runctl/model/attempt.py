"""An attempt: one machine trying a run, the facts observed of it, and the launch tries that led to it."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from runctl.model.base import Model, UtcDatetime
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.price import PriceSource, PriceStep, Settlement
from runctl.model.run import PurchaseOption
from runctl.model.status import Reason


class FactKind(StrEnum):
    """What can be observed of an attempt. Each is written once; the first observation stands."""

    READY = "ready"
    """SSM says Online."""
    REBALANCE = "rebalance"
    WARNED = "warned"
    """EC2's interruption warning came; from here the attempt is draining."""
    STARTED = "started"
    """The training process runs."""
    ENDED = "ended"
    """The agent's own report of the end, its final marker: data as in `TrainingEnded`."""
    WAITING = "waiting"
    """The agent is prepared and waits at its fence until no earlier machine of the run trains any more."""
    FENCE_OPENED = "fence_opened"
    """The controller has let it train: `go.json` lies in its hand-off."""
    COMMAND_FAILED = "command_failed"
    """SSM says that the start command failed or was never delivered."""
    GONE = "gone"
    """EC2 says shutting-down, terminated, stopping or stopped, or knows the machine no more."""


class Fact(Model):
    """One observation: when it was made, and what was seen."""

    at: UtcDatetime
    data: dict[str, Any] = {}


class Wait(StrEnum):
    """The two states that wait for a task token."""

    READY = "ready"
    TRAIN = "train"


class LaunchTry(Model):
    """One CreateFleet call of an attempt: written whole before the call, replayed unchanged under its token."""

    number: Annotated[int, Field(ge=1)]
    client_token: str
    request: dict[str, Any]
    """The keyword arguments of CreateFleet."""
    answered_at: UtcDatetime | None = None
    errors: tuple[dict[str, str], ...] = ()
    """CreateFleet's `Errors`, flattened: code, message, instance_type, subnet_id, availability_zone, lifecycle."""


class Attempt(Model):
    """One item `RUN#<id> / ATTEMPT#<0001>` of the runs table."""

    run_id: RunId
    number: AttemptNumber
    created_at: UtcDatetime
    secret: str
    """Hexadecimal key of the HMAC on the agent's events. Never logged, never in an event."""
    launch_not_before: UtcDatetime | None = None
    """Until when the run waits before it launches this attempt's machine; None: not at all."""
    launch: LaunchTry | None = None
    instance_id: InstanceId | None = None
    instance_type: str | None = None
    availability_zone: str | None = None
    purchase_option: PurchaseOption | None = None
    image_id: str | None = None
    role_id: str | None = None
    """Unique id of the role in the run's instance profile; None: the stack's own role."""
    price_usd_per_hour: Decimal | None = None
    """At the launch."""
    price_source: PriceSource | None = None
    on_demand_usd_per_hour: Decimal | None = None
    on_demand_source: PriceSource | None = None
    price_steps: tuple[PriceStep, ...] = ()
    """How a spot machine's price moved, as far as somebody asked. What is settled stands in `settlement`."""
    disk_gib: int | None = None
    """Size of the root volume. None: `DEFAULT_DISK_GIB`."""
    launched_at: UtcDatetime | None = None
    gone_at: UtcDatetime | None = None
    """When EC2 stopped charging: the first `shutting-down` or `stopping`; of a machine that is kept `shutting-down`
    alone, for a stop is not its end."""
    stops: tuple[UtcDatetime, ...] = ()
    restarts: tuple[UtcDatetime, ...] = ()
    """When a machine that is kept was stopped and started again, as far as it was seen: notes, which
    `runctl.policy.pauses` puts in order."""
    ended_at: UtcDatetime | None = None
    reason: Reason | None = None
    exit_code: int | None = None
    evidence: str = ""
    """One sentence: what was seen that gave the reason."""
    resumed_from_step: int | None = None
    resumed_from: str | None = None
    """Key of the manifest that the training was resumed from."""
    resumed_from_saved_at: UtcDatetime | None = None
    """When that checkpoint was saved; None when it is an earlier run's."""
    settlement: Settlement | None = None
    """What the machine cost, once EC2 has said how and when it ended."""
    command_id: str | None = None
    tokens: dict[Wait, TaskToken] = {}
    """The token of the state that waits; of the one that was entered last, for an attempt waits in one at a time."""
    turn: str = ""
    """Which invocation stored that token (`StepInput.turn`): an earlier one that is late does not replace it."""
    facts: dict[FactKind, Fact] = {}
    version: Annotated[int, Field(ge=1)] = 1

    @property
    def is_draining(self) -> bool:
        """Whether EC2 has announced the end of this machine."""
        return FactKind.WARNED in self.facts

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to wait for: the training reported its end, or the machine is going."""
        return FactKind.ENDED in self.facts or FactKind.GONE in self.facts or self.reason is not None

    @property
    def hands_over(self) -> bool:
        """Whether the machine saves and may train on during its notice, while another one is made ready."""
        return self.is_draining and not self.is_settled and self.command_id is not None

    @property
    def owns_live_machine(self) -> bool:
        """Whether a machine was launched that EC2 has not yet reported as going."""
        return self.instance_id is not None and self.gone_at is None

    @property
    def is_unsettled(self) -> bool:
        """Whether what the machine costs is not final. One that a user gave costs the run nothing."""
        return self.instance_id is not None and self.launched_at is not None and self.settlement is None
