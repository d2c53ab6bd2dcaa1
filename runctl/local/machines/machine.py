"""What EC2 knows about one instance."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any, cast

from runctl.local.machines.catalogue import SPOT
from runctl.local.machines.clock import seconds_iso

TERMINATED_VISIBLE_FOR = timedelta(hours=1)
"""How long DescribeInstances still shows a terminated instance (EC2 User Guide, Terminate instances: about an hour)."""


class State(IntEnum):
    """Instance states with EC2's codes (EC2 API Reference, InstanceState)."""

    PENDING = 0
    RUNNING = 16
    SHUTTING_DOWN = 32
    TERMINATED = 48
    STOPPING = 64
    STOPPED = 80

    @property
    def aws_name(self) -> str:
        """`shutting-down` and the like."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class StateReason:
    """Why an instance is in its state (EC2 API Reference, StateReason)."""

    code: str
    message: str


USER_SHUTDOWN = StateReason("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
INSTANCE_SHUTDOWN = StateReason(
    "Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
)
SPOT_TERMINATION = StateReason(
    "Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"
)
LAUNCH_FAILED = StateReason("Server.InternalError", "Server.InternalError: Internal error on launch")
HOST_FAILED = StateReason("Server.InternalError", "Server.InternalError: The host of the instance failed")


SPOT_FULFILLED = "fulfilled"
SPOT_NO_CAPACITY = "instance-terminated-no-capacity"
"""Already while the notice and the instance run (EC2 User Guide, Get the status of a Spot Instance request)."""


@dataclass(frozen=True)
class SpotStatus:
    """Status of a spot request (EC2 User Guide, Get the status of a Spot Instance request)."""

    code: str
    message: str
    updated_at: str


@dataclass
class Machine:
    """One instance. Times are ISO texts, so that the record is plain JSON."""

    instance_id: str
    reservation_id: str
    client_token: str
    instance_type: str
    architecture: str
    image_id: str
    zone: str
    zone_id: str
    subnet_id: str
    vpc_id: str
    private_ip: str
    security_groups: list[dict[str, str]]
    lifecycle: str
    launched_at: str
    state: State = State.PENDING
    state_reason: StateReason | None = StateReason("pending", "pending")
    transition_reason: str = ""
    transitioned_at: str = ""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    user_data: str = ""
    """As EC2 keeps it: base64."""
    profile_arn: str | None = None
    profile_id: str | None = None
    role_name: str | None = None
    role_arn: str | None = None
    key_name: str | None = None
    shows_tags: bool = False
    requires_token: bool = False
    terminates_on_shutdown: bool = False
    root_device_name: str = "/dev/xvda"
    is_public: bool = False
    """Whether it has a public address while it runs; records of earlier versions do not say."""
    public_ip: str | None = None
    spot_request_id: str | None = None
    spot_status: SpotStatus | None = None
    spot_max_price: str | None = None
    interrupted_at: str | None = None
    """When EC2 will take the machine back: set by an interruption warning."""
    rebalance_at: str | None = None
    first_booted: bool = False
    """Whether the user data was run: once, at the first boot, as cloud-init does."""

    @property
    def is_spot(self) -> bool:
        """Whether it is a spot instance."""
        return self.lifecycle == SPOT

    @property
    def is_ended(self) -> bool:
        """Whether it is on its way out for good."""
        return self.state in (State.SHUTTING_DOWN, State.TERMINATED)

    def save(self, directory: Path) -> None:
        """Write the record, whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / "machine.json.partial"
        partial.write_text(json.dumps(asdict(self)))
        partial.replace(directory / "machine.json")

    @classmethod
    def load(cls, directory: Path) -> "Machine":
        """Read a record."""
        document = cast("dict[str, Any]", json.loads((directory / "machine.json").read_text()))
        reason, spot = document["state_reason"], document["spot_status"]
        document["state"] = State(document["state"])
        document["state_reason"] = StateReason(**reason) if reason else None
        document["spot_status"] = SpotStatus(**spot) if spot else None
        return cls(**document)

    def close_spot_request(self, reason: StateReason, at: datetime) -> None:
        """Note why the spot request is over; an interruption has noted its own reason already."""
        if self.spot_status is not None and self.spot_status.code == SPOT_FULFILLED:
            by_user = reason in (USER_SHUTDOWN, INSTANCE_SHUTDOWN)
            by = "user" if by_user else "service"
            self.set_spot_status(f"instance-terminated-by-{by}", f"Your Spot Instance was terminated by the {by}.", at)

    def set_spot_status(self, code: str, message: str, at: datetime) -> None:
        """Note a status of the spot request; nothing to note for an on-demand instance."""
        if self.is_spot:
            self.spot_status = SpotStatus(code, message, seconds_iso(at))


def new_id(prefix: str) -> str:
    """An id as EC2 makes them: the prefix and 17 hexadecimal digits."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"
