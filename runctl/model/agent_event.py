"""Events that a machine puts on our bus, source `runctl.agent`; the detail type is the kind.

Every event but `Machine Ready` is signed: HMAC-SHA256, key = the attempt's secret (its hexadecimal text as ASCII
bytes), message = the detail without `signature` as canonical JSON (sorted keys, separators `,` and `:`, no escape of
non-ASCII characters, UTF-8). `Machine Ready` comes before the machine can know a secret; it is only a hint, and
the controller asks SSM itself.
"""

import hashlib
import hmac
import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from runctl.model.base import UtcDatetime, WireModel
from runctl.model.ids import AttemptNumber, InstanceId, RunId


class AgentEventKind(StrEnum):
    """Detail types on the bus."""

    MACHINE_READY = "Machine Ready"
    WAITING_FOR_HAND_OVER = "Waiting For Hand-over"
    TRAINING_STARTED = "Training Started"
    PROGRESS = "Progress"
    CHECKPOINT_SAVED = "Checkpoint Saved"
    TRAINING_ENDED = "Training Ended"


class AgentEvent(WireModel):
    """The detail of an agent's event."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    instance_id: InstanceId
    kind: AgentEventKind
    time: str
    """As the agent wrote it, for the signature covers the text: `2026-01-31T09:30:00.123Z`."""
    data: dict[str, Any] = {}
    signature: str = ""


class EndedWhy(StrEnum):
    """What made the training end, as the agent saw it."""

    EXITED = "exited"
    """By itself: `exit_code` or `signal` says how."""
    SETUP_FAILED = "setup_failed"
    """It was never started: code, environment or data could not be made ready."""
    OUT_OF_MEMORY = "out_of_memory"
    NOTICE = "notice"
    """Asked to save and leave because EC2 is taking the machine back."""
    STOP = "stop"
    """Asked to save and leave by the controller."""
    DEADLINE = "deadline"
    """Asked to save and leave because `max_runtime` was reached."""
    DEAD_MAN = "dead_man"
    """Asked to save and leave because the controller was silent for too long."""
    CHECKPOINT_MISSING = "checkpoint_missing"
    """Exit code 0, but no complete checkpoint, and one was required."""


class TrainingEnded(WireModel):
    """`data` of `Training Ended`. An exit code of 0 counts as success whatever else was going on."""

    why: EndedWhy
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    last_lines: tuple[str, ...] = ()
    """The last log lines, at most 20 and 4,096 characters in all."""
    warnings: tuple[str, ...] = ()
    """What the user should know of although the training ended well; one sentence each."""
    started: bool = True
    ended_at: UtcDatetime


class WaitingForHandOver(WireModel):
    """`data` of `Waiting For Hand-over`: code and environment are ready, and an earlier machine may still train."""

    waiting_since: UtcDatetime


class TrainingStarted(WireModel):
    """`data` of `Training Started`."""

    started_at: UtcDatetime
    resumed_from: str | None = None
    """Manifest key."""
    resumed_from_step: int | None = None
    prepared_s: float = 0.0
    log_stream: str = ""
    warnings: tuple[str, ...] = ()
    """What went wrong on the way, e.g. a newer checkpoint that is damaged."""
    code_files: Annotated[int, Field(ge=0)] | None = None
    """How many files of the project arrived, each with the right hash; None from an agent that does not tell."""


class ProgressReport(WireModel):
    """`data` of `Progress`."""

    at: UtcDatetime
    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    throughput: float | None = None
    warnings: tuple[str, ...] = ()
    """Troubles that the training goes on through, e.g. a bucket that refuses; and their ends."""


class CheckpointSaved(WireModel):
    """`data` of `Checkpoint Saved`: the manifest is in the bucket."""

    name: str
    step: int | None = None
    manifest_key: str
    bytes: int
    files: int
    saved_at: UtcDatetime
    progress: ProgressReport | None = None
    """Figures that the controller has not heard of: they cost no event of their own."""


def sign(detail: dict[str, Any], secret: str) -> str:
    """Compute the signature of an event's detail; a `signature` in it is left out."""
    unsigned = {key: value for key, value in detail.items() if key != "signature"}
    message = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hmac.new(secret.encode("ascii"), message, hashlib.sha256).hexdigest()


def is_authentic(detail: dict[str, Any], secret: str) -> bool:
    """Tell whether the detail carries the signature that `secret` gives; compares in constant time."""
    signature = detail.get("signature")
    return isinstance(signature, str) and hmac.compare_digest(signature, sign(detail, secret))
