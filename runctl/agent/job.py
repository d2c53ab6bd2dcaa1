"""The hand-off as the agent reads it: the fields of `runctl.model.job.AgentJob`. Unknown fields are passed over."""

import json
from dataclasses import dataclass
from typing import Any

VERSION = 1


class JobError(ValueError):
    """The hand-off cannot be read, or is not for this attempt."""


@dataclass(frozen=True)
class CodeRef:
    """The project's archive in the bucket."""

    key: str
    sha256: str


DOWNLOAD = "download"
MOUNT = "mount"
"""`runctl.model.run.DataMode`."""


@dataclass(frozen=True)
class DataSource:
    """Objects of a bucket that the training reads, and where it wants them."""

    bucket: str
    prefix: str
    path: str

    @property
    def url(self) -> str:
        """As people write it."""
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class LinkedFile:
    """A file of an earlier checkpoint. `path` is relative to the checkpoint directory."""

    path: str
    bytes: int
    sha256: str
    url: str


@dataclass(frozen=True)
class ResumePoint:
    """A complete checkpoint to resume from."""

    manifest_key: str
    name: str
    step: int | None
    files: tuple[LinkedFile, ...]


@dataclass(frozen=True)
class KeptPackages:
    """What an earlier attempt of the run left of the packages that it installed: `runctl.model.job.KeptPackages`."""

    content: str
    files: tuple[LinkedFile, ...]


@dataclass(frozen=True)
class Job:
    """All that the agent needs to know of the attempt. There is a script or a command."""

    run_id: str
    attempt: int
    instance_id: str
    task_token: str
    secret: str
    region: str
    bucket: str
    bus_name: str
    log_group: str
    log_stream: str
    metrics_stream: str
    prefix: str
    code: CodeRef
    script: str
    module: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    environment: dict[str, str]
    secrets: dict[str, str]
    setup: str
    image: str
    """A container image that the training runs in; empty: none."""
    data: tuple[DataSource, ...]
    data_mode: str
    output_dir: str
    packages_prefix: str
    """Where the packages may be left for a later attempt; empty: nowhere."""
    kept_packages: KeptPackages | None
    resume_points: tuple[ResumePoint, ...]
    must_fence: bool
    keep_machine: bool
    """However the attempt ends."""
    keep_machine_on_success: bool
    keep_checkpoints: int
    verify_checkpoints: bool
    on_notice: str
    """`stop`: SIGTERM at once on a notice, whatever the training hears."""
    max_runtime_s: float
    save_limit_s: float
    heartbeat_interval_s: float
    dead_man_s: float

    @property
    def label(self) -> str:
        """What is run, for messages."""
        return self.command[0] if self.command else self.script

    @property
    def handoff(self) -> str:
        """Prefix of this machine's hand-off: what the controller leaves for it alone."""
        return f"handoff/{self.prefix.rstrip('/').rpartition('/')[2]}/"


@dataclass(frozen=True)
class Go:
    """That no earlier machine of the run trains any more: `runctl.model.job.HandOver`."""

    resume_points: tuple[ResumePoint, ...]
    max_runtime_s: float


def read_job(text: str | bytes) -> Job:
    """Read a hand-off. Raises JobError that says what is wrong with it; never shows its contents."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document.get("version", VERSION) != VERSION:
            raise JobError(f"the hand-off has version {document['version']}, this agent knows {VERSION}")
        return Job(
            run_id=document["run_id"],
            attempt=int(document["attempt"]),
            instance_id=document["instance_id"],
            task_token=document["task_token"],
            secret=document["secret"],
            region=document["region"],
            bucket=document["bucket"],
            bus_name=document["bus_name"],
            log_group=document["log_group"],
            log_stream=document["log_stream"],
            metrics_stream=document["metrics_stream"],
            prefix=document["prefix"],
            code=CodeRef(document["code"]["key"], document["code"]["sha256"]),
            script=document.get("script", ""),
            module=document.get("module", ""),
            command=tuple(document.get("command", ())),
            args=tuple(document.get("args", ())),
            environment=dict(document.get("environment", {})),
            secrets=dict(document.get("secrets", {})),
            setup=document.get("setup", ""),
            image=document.get("image", ""),
            data=tuple(
                DataSource(data["bucket"], data.get("prefix", ""), data.get("path", ""))
                for data in document.get("data", ())
            ),
            data_mode=document.get("data_mode", DOWNLOAD),
            output_dir=document.get("output_dir", ""),
            packages_prefix=document.get("packages_prefix", ""),
            kept_packages=_kept_packages(document.get("kept_packages")),
            resume_points=tuple(_resume_point(point) for point in document.get("resume_points", ())),
            must_fence=bool(document.get("must_fence", False)),
            keep_machine=bool(document.get("keep_machine", False)),
            keep_machine_on_success=bool(document.get("keep_machine_on_success", False)),
            keep_checkpoints=int(document.get("keep_checkpoints", 3)),
            verify_checkpoints=bool(document.get("verify_checkpoints", False)),
            on_notice=document.get("on_notice", "save"),
            max_runtime_s=float(document["max_runtime_s"]),
            save_limit_s=float(document["save_limit_s"]),
            heartbeat_interval_s=float(document["heartbeat_interval_s"]),
            dead_man_s=float(document["dead_man_s"]),
        )
    except KeyError as error:
        raise JobError(f"the hand-off has no field {error}") from error
    except (TypeError, AttributeError) as error:
        raise JobError("the hand-off's fields are not of the types that this agent knows") from error


def read_go(text: str | bytes, job: Job) -> Go:
    """Read the hand-over. Raises JobError when it is not for this attempt, or cannot be read."""
    try:
        document: dict[str, Any] = json.loads(text)
        if (document["run_id"], int(document["attempt"])) != (job.run_id, job.attempt):
            raise JobError("the hand-over is for another attempt")
        points = tuple(_resume_point(point) for point in document.get("resume_points", ()))
        return Go(points, float(document["max_runtime_s"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise JobError("the hand-over's fields are not those that this agent knows") from error


def _resume_point(document: dict[str, Any]) -> ResumePoint:
    return ResumePoint(document["manifest_key"], document["name"], document.get("step"), _linked(document["files"]))


def _kept_packages(document: dict[str, Any] | None) -> KeptPackages | None:
    return None if document is None else KeptPackages(document["content"], _linked(document["files"]))


def _linked(files: list[dict[str, Any]]) -> tuple[LinkedFile, ...]:
    return tuple(LinkedFile(file["path"], file["bytes"], file["sha256"], file["url"]) for file in files)
