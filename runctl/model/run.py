"""A run: what the user asked for, and how it stands."""

import shlex
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from runctl.model import timing
from runctl.model.base import Model, UtcDatetime
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.notice import NotifyLevel
from runctl.model.status import Reason, RunStatus

DEFAULT_DISK_GIB = 100
"""Root volume of a machine: more than the snapshots of Amazon Linux 2023 (8) and of its Deep Learning AMIs, with room
for data and packages."""

_LABEL_CHARACTERS = 60

MAX_RUNTIME_LIMIT_S = int(timing.MAX_RUNTIME_LIMIT.total_seconds())


VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

SecretPlace = Annotated[
    str,
    Field(
        pattern=r"^(ssm:/[A-Za-z0-9_./-]+|secretsmanager:(arn:[a-z0-9:-]+:secret:)?[A-Za-z0-9/_+=.@-]+)$",
        max_length=2_100,
    ),
]
"""Names as the Systems Manager User Guide ("Requirements and constraints for Parameter Store parameter names") and the
Secrets Manager API Reference (CreateSecret, `Name`) allow them."""


class PurchaseOption(StrEnum):
    """How a machine is paid for, in EC2's own spelling (`InstanceLifecycle`, fleet `Lifecycle`)."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"


class OnNotice(StrEnum):
    """What a training is told when EC2 announces the end of its machine."""

    SAVE = "save"
    """SIGUSR1 if it handles that, and SIGTERM when only the time to stop and upload is left; else SIGTERM at once."""
    STOP = "stop"
    """SIGTERM at once."""


class CodeRef(Model):
    """The project as uploaded: its listing (`runctl.model.code`), named by its content."""

    key: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]
    """Size of the listing itself."""


class DataMode(StrEnum):
    """How a training gets at data of S3."""

    DOWNLOAD = "download"
    """Files on the machine's disk before the training starts."""
    MOUNT = "mount"
    """Read from S3 when it is read (Mountpoint for Amazon S3)."""


class DataSource(Model):
    """Objects of a bucket that a training reads."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """Amazon S3 User Guide, "General purpose bucket naming rules"."""
    prefix: Annotated[str, Field(max_length=1_024)] = ""
    """The key of one object, or what stands before a slash in the keys of many. Empty: the whole bucket."""
    path: str = ""
    """Where it lies on the machine: absolute, or relative to the project. Empty: below RUNCTL_DATA_DIR, by its name."""

    @property
    def url(self) -> str:
        """As people write it."""
        return f"s3://{self.bucket}/{self.prefix}"

    @field_validator("path")
    @classmethod
    def _path_has_no_way_up(cls, value: str) -> str:
        if ".." in value.split("/") or "\0" in value:
            raise ValueError("the path of data must not have .. in it")
        return value


class RunRequest(Model):
    """What a person asks for. Durations are whole seconds here, for they become `TimeoutSeconds`."""

    script: str = ""
    """Path of the training script, relative to the project's root, with forward slashes. Empty: `command` is run."""
    module: Annotated[str, Field(pattern=r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?$")] = ""
    """The script is run as this module, with `python -m`; its file is looked up where `script` does not say it."""
    command: tuple[str, ...] = ()
    """The words of a command that is run in place of a script: no shell reads them."""
    args: tuple[str, ...] = ()
    instance_types: Annotated[tuple[str, ...], Field(min_length=1)]
    purchase_option: PurchaseOption = PurchaseOption.ON_DEMAND
    disk_gib: Annotated[int, Field(ge=8, le=16_384)] | None = None
    """Size of the machine's root volume. None: `DEFAULT_DISK_GIB`. 8 is what Amazon Linux needs; 16 TiB is what gp3
    volumes have long had everywhere (Amazon EBS User Guide, "General Purpose SSD volumes")."""
    instance_profile: Annotated[str, Field(pattern=r"^[\w+=.@-]{1,128}$")] | None = None
    """Instance profile of the machine, one that was allowed at deployment. None: the stack's own. Characters as IAM
    allows them (IAM API Reference, CreateInstanceProfile), but for the comma that lists them."""
    environment: dict[str, str] = {}
    """Environment variables of the training. Never logged."""
    secrets: dict[VariableName, SecretPlace] = {}
    """Environment variables whose values the machine reads itself: from `ssm:/name` (Systems Manager's parameters) or
    `secretsmanager:name-or-arn`. Only the places are kept."""
    setup: Annotated[str, Field(max_length=4_096)] = ""
    """A shell command that runs in the project before the training; empty: none."""
    image: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._:@/-]*)?$", max_length=512)] = ""
    """A container image that the training runs in, with the packages that it brings; empty: none. Characters as in the
    OCI Distribution Specification, "Pulling manifests"."""
    data: tuple[DataSource, ...] = ()
    data_mode: DataMode = DataMode.DOWNLOAD
    output_dir: str = ""
    """A folder of the project whose content is kept with the run, as that of RUNCTL_OUTPUT_DIR is. Empty: none."""
    max_runtime_s: Annotated[int, Field(ge=60, le=int(timing.MAX_RUNTIME_LIMIT.total_seconds()))] = int(
        timing.MAX_RUNTIME.total_seconds()
    )
    max_cost_usd: Annotated[Decimal, Field(gt=0)] | None = None
    capacity_timeout_s: Annotated[int, Field(ge=0, le=7 * 86_400)] = int(timing.CAPACITY_TIMEOUT.total_seconds())
    ready_timeout_s: Annotated[int, Field(ge=5, le=3_600)] = int(timing.READY_TIMEOUT.total_seconds())
    heartbeat_timeout_s: Annotated[int, Field(ge=5, le=3_600)] = int(timing.HEARTBEAT_TIMEOUT.total_seconds())
    heartbeat_interval_s: Annotated[int, Field(ge=1, le=600)] = int(timing.HEARTBEAT_INTERVAL.total_seconds())
    save_limit_s: Annotated[int, Field(ge=1, le=3_600)] = int(timing.SAVE_LIMIT.total_seconds())
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    """How often a failure of the training itself is tried again."""
    retry_exit_codes: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()
    """Only failures with one of these exit codes are tried again; empty: all of them."""
    fallback: bool = False
    """Whether a spot run may go on on demand when the spot pools refuse or take back too often."""
    keep_machine_s: Annotated[int, Field(ge=600, le=30 * 86_400)] | None = None
    """How long the machine is kept after a training that succeeded, counted from its launch; None: it is ended."""
    notify: NotifyLevel = NotifyLevel.ALL
    keep_checkpoints: Annotated[int, Field(ge=1, le=1_000)] = 3
    verify_checkpoints: bool = False
    on_notice: OnNotice = OnNotice.SAVE
    """What a training that handles SIGUSR1 is told first when EC2 takes its machine back."""

    @field_validator("script")
    @classmethod
    def _script_stays_inside(cls, value: str) -> str:
        parts = value.split("/")
        if value.startswith("/") or ".." in parts or "\\" in value:
            raise ValueError("the script's path must be relative and stay inside the project")
        return value

    @field_validator("output_dir")
    @classmethod
    def _output_stays_inside(cls, value: str) -> str:
        if value.startswith("/") or any(part in {".", ".."} for part in value.split("/")):
            raise ValueError("the output folder must be named relative to the project, and lie in it")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_thing_is_run(self) -> "RunRequest":
        if bool(self.script or self.module) == bool(self.command):
            raise ValueError("name what is run: either a script, or its module, or a command")
        if self.command and not self.command[0]:
            raise ValueError("the command's first word is empty")
        return self

    @model_validator(mode="after")
    def _variables_have_one_value(self) -> "RunRequest":
        twice = sorted(self.environment.keys() & self.secrets.keys())
        if twice:
            raise ValueError(f"{twice[0]} is given both as a variable and as a secret")
        return self

    @model_validator(mode="after")
    def _image_brings_its_packages(self) -> "RunRequest":
        if self.image and self.setup:
            raise ValueError("a set-up command is for a run without an image: what it installs belongs into the image")
        return self

    @model_validator(mode="after")
    def _retries_make_sense(self) -> "RunRequest":
        if self.retry_exit_codes and not self.retries:
            raise ValueError("retry_exit_codes says which failures are tried again, retries how often; give both")
        if self.fallback and self.purchase_option is not PurchaseOption.SPOT:
            raise ValueError("fallback is for spot runs")
        return self

    @property
    def label(self) -> str:
        """What is run, as people type it, without its arguments and not too long."""
        if self.keep_machine_s is not None:
            return "a machine to keep"
        words = self.command or (("python", "-m", self.module) if self.module else (self.script,))
        text = shlex.join(words)
        return text if len(text) <= _LABEL_CHARACTERS else f"{text[: _LABEL_CHARACTERS - 1]}…"

    @model_validator(mode="after")
    def _heartbeats_fit(self) -> "RunRequest":
        if self.heartbeat_interval_s * 2 > self.heartbeat_timeout_s:
            raise ValueError("heartbeat_timeout_s must be at least twice heartbeat_interval_s")
        return self


class RunSpec(RunRequest):
    """What was asked for, once its code lies in the bucket."""

    code: CodeRef


class StopRequest(Model):
    """That a run should save and end, and why. The first request stands; `now` may be raised later."""

    reason: Reason
    requested_by: str
    requested_at: UtcDatetime
    now: bool = False
    """End the machine at once instead of letting the training save."""


class LimitKind(StrEnum):
    """What a run may use up."""

    MONEY = "money"
    TIME = "time"


class CapacityWait(Model):
    """What is tried, and when next, until a machine has come up."""

    waiting_since: UtcDatetime
    tries: Annotated[int, Field(ge=1)]
    next_try_at: UtcDatetime | None = None
    told: bool = False
    """Whether people were told that there is no machine."""
    waited_for_quota: bool = False
    """Whether the one wait for a machine of one's own to free its quota has been had."""
    refusals: tuple[str, ...] = ()
    """Sentences, one a pool: what AWS answered."""


class CheckpointRef(Model):
    """The newest complete checkpoint that is known of."""

    name: str
    step: int | None = None
    manifest_key: str
    bytes: int
    saved_at: UtcDatetime
    attempt: AttemptNumber


class Progress(Model):
    """The last figures that the training reported."""

    at: UtcDatetime
    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    throughput: float | None = None


class ResumedFrom(Model):
    """The ended run, and its checkpoint, that this run goes on from."""

    run_id: RunId
    checkpoint: str
    """Key of its manifest. It lies with an earlier run of the chain when `run_id` saved none of its own."""
    name: str = ""
    step: int | None = None


class Run(Model):
    """One item `RUN#<id> / META` of the runs table."""

    run_id: RunId
    name: str
    project: str
    user: str
    spec: RunSpec
    status: RunStatus = RunStatus.PENDING
    reason: Reason | None = None
    message: str = ""
    """One sentence for people: what is going on, or how it ended and what to do next."""
    created_at: UtcDatetime
    updated_at: UtcDatetime
    ended_at: UtcDatetime | None = None
    execution_arn: str | None = None
    execution_ended: bool = False
    """Whether the execution was stopped from outside, so that no state of it will conclude the run."""
    attempt: AttemptNumber = AttemptNumber(0)
    """Number of the current attempt; 0 before the first."""
    fell_back_at: UtcDatetime | None = None
    """From when on a spot run with `fallback` launches on demand."""
    hand_over_from: AttemptNumber | None = None
    """The earlier attempt whose machine still saves and may train on during its notice: its checkpoints and figures
    count until the current attempt's fence opens. None when the current attempt is the only one that may train."""
    machine: InstanceId | None = None
    """A machine that the user gave; None when the run launches its own."""
    estimated_usd: Decimal | None = None
    settled_usd: Decimal = Decimal(0)
    """What the machines of this run cost that are settled; those of its other attempts come on top."""
    settled_on_demand_usd: Decimal = Decimal(0)
    recomputed_usd: Decimal = Decimal(0)
    """What was paid for work that was done again after interruptions, as far as it is settled."""
    limits_told: tuple[LimitKind, ...] = ()
    """Limits of which four fifths are used, and people know."""
    extensions: Annotated[int, Field(ge=0)] = 0
    """How often its limits were raised: a stop at a limit names the one that it was decided under."""
    limits_looked_at: UtcDatetime | None = None
    """When the one-time schedule looks at the limits next; None while there is none."""
    stop_request: StopRequest | None = None
    capacity_wait: CapacityWait | None = None
    checkpoint: CheckpointRef | None = None
    progress: Progress | None = None
    resumed_from: ResumedFrom | None = None
    version: Annotated[int, Field(ge=1)] = 1
    """Counts the writes; every write names the version that it read."""

    @property
    def kept_until(self) -> datetime | None:
        """When the controller ends the machine that it keeps; None for a run that keeps none."""
        if self.spec.keep_machine_s is None:
            return None
        return self.created_at + timedelta(seconds=self.spec.keep_machine_s)
