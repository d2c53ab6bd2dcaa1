"""Events on our bus, signed as `runctl.model.agent_event` says; it also holds their shapes."""

import hashlib
import hmac
import json
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast

from runctl.agent.clock import Clock, iso

SOURCE = "runctl.agent"


class EventKind(StrEnum):
    """Detail types: those of `runctl.model.agent_event.AgentEventKind`."""

    MACHINE_READY = "Machine Ready"
    WAITING_FOR_HAND_OVER = "Waiting For Hand-over"
    TRAINING_STARTED = "Training Started"
    PROGRESS = "Progress"
    CHECKPOINT_SAVED = "Checkpoint Saved"
    TRAINING_ENDED = "Training Ended"


@dataclass(frozen=True)
class Identity:
    """Who speaks. `secret` is empty before there is a job; then events are not signed."""

    run_id: str
    attempt: int
    instance_id: str
    secret: str = ""


class Bus(Protocol):
    """EventBridge. `put` raises OSError when the event did not get there."""

    def put(self, kind: str, detail: str) -> None:
        """Put one event of source `runctl.agent`."""
        ...


def canonical(detail: dict[str, Any]) -> str:
    """Write a detail as it is signed and sent."""
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sign(detail: dict[str, Any], secret: str) -> str:
    """Compute the signature, as `runctl.model.agent_event.sign` does."""
    unsigned = {key: value for key, value in detail.items() if key != "signature"}
    return hmac.new(secret.encode("ascii"), canonical(unsigned).encode(), hashlib.sha256).hexdigest()


class EventSender:
    """Makes events of one attempt and sends them."""

    def __init__(self, identity: Identity, bus: Bus, clock: Clock) -> None:
        self._identity = identity
        self._bus = bus
        self._clock = clock

    def detail(self, kind: EventKind, data: dict[str, Any]) -> dict[str, Any]:
        """Make a signed detail."""
        who = self._identity
        detail: dict[str, Any] = {
            "version": 1,
            "run_id": who.run_id,
            "attempt": who.attempt,
            "instance_id": who.instance_id,
            "kind": kind.value,
            "time": iso(self._clock.now()),
            "data": _plain(data),
        }
        if who.secret:
            detail["signature"] = sign(detail, who.secret)
        return detail

    def send(self, kind: EventKind, data: dict[str, Any]) -> None:
        """Send one event. Raises OSError when it did not get there."""
        self.send_detail(self.detail(kind, data))

    def send_detail(self, detail: dict[str, Any]) -> None:
        """Send a detail that was made before, e.g. the one that lies in the bucket as well."""
        self._bus.put(detail["kind"], canonical(detail))


def _plain(value: Any) -> Any:
    """Write numbers so that every JSON reader writes them back alike, for the signature covers the text.

    JSON has no NaN or infinity, and a whole float may come back without its `.0`.
    """
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        rounded = float(f"{value:.9g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
    return value
