"""The hand-off: what the controller leaves in the bucket for the machine's agent, and for it alone."""

from typing import Annotated, Literal

from pydantic import Field

from runctl.model.base import WireModel
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.run import CodeRef, DataMode, DataSource, OnNotice


class LinkedFile(WireModel):
    """A file of an earlier attempt's checkpoint, with a short-lived link to read it."""

    path: str
    bytes: int
    sha256: str
    url: str


class ResumePoint(WireModel):
    """A complete checkpoint to resume from."""

    manifest_key: str
    name: str
    step: int | None = None
    files: tuple[LinkedFile, ...]


class KeptPackages(WireModel):
    """Packages that an earlier attempt installed, with short-lived links to the pieces of their archive."""

    content: str
    files: tuple[LinkedFile, ...]


class AgentJob(WireModel):
    """`handoff/<role-id>:<instance-id>/job.json`: all that the agent needs and may know."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    instance_id: InstanceId
    task_token: TaskToken
    secret: str
    region: str
    bucket: str
    bus_name: str
    log_group: str
    log_stream: str
    """`<run>/<attempt, four digits>`: one stream an attempt, never overwritten."""
    metrics_stream: str
    """`<run>/<attempt, four digits>/metrics`, in the same group."""
    prefix: str
    """`runs/<run>/attempts/<0001>/<role-id>:<instance-id>/`: the only keys that this machine may write."""
    code: CodeRef
    script: str = ""
    module: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """Places, not values: the agent reads them."""
    setup: str = ""
    image: str = ""
    data: tuple[DataSource, ...] = ()
    data_mode: DataMode = DataMode.DOWNLOAD
    output_dir: str = ""
    packages_prefix: str = ""
    """`packages/<role-id>:<instance-id>/<run>/<0001>/`, where the agent may leave the packages that it installs for a
    later attempt (`runctl.model.packages`). Empty: nowhere."""
    kept_packages: KeptPackages | None = None
    """What an earlier attempt left there. The agent checks it, and installs anew when it will not do."""
    resume_points: tuple[ResumePoint, ...] = ()
    """Newest first; the agent takes the first whose hashes are right, and says so when it had to go back."""
    must_fence: bool = False
    """An earlier machine of the run may still train: the agent prepares, says so, and waits for its `HandOver`, which
    holds the resume points then."""
    keep_machine: bool = False
    """The machine was given: it lives on however the attempt ends. Somebody keeps it, and the controller ends it."""
    keep_machine_on_success: bool = False
    """The machine is the run's own, and lives on when the training succeeds."""
    keep_checkpoints: Annotated[int, Field(ge=1)] = 3
    verify_checkpoints: bool = False
    on_notice: OnNotice = OnNotice.SAVE
    max_runtime_s: int
    """What is left of the run's `max_runtime`, counted from the start of the training."""
    save_limit_s: int
    heartbeat_interval_s: int
    dead_man_s: int


class HandOver(WireModel):
    """`handoff/<role-id>:<instance-id>/go.json`: no earlier machine trains any more; where to go on from."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    resume_points: tuple[ResumePoint, ...] = ()
    max_runtime_s: int


class Limits(WireModel):
    """`handoff/<role-id>:<instance-id>/limits.json`: the run was extended. Read when the time that the agent knows of
    is over."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    max_runtime_s: int
    """What the attempt's training may take, counted from its start."""


class ReplacementReady(WireModel):
    """`handoff/<role-id>:<instance-id>/replacement_ready.json`, for a machine that is being taken back: another one is
    prepared and waits for it to save and leave."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    """The one that waits."""
