"""What `.runctl.toml` may say, as types. Imported only by commands that need it, for pydantic is not quick."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from runctl.model import timing
from runctl.model.notice import NotifyLevel
from runctl.model.run import DataMode, OnNotice, PurchaseOption
from runctl_cli.values import parse_data, parse_duration, parse_variable
from runctl_cli.variables import parse_secret


class Target(StrEnum):
    """Where runs go."""

    AWS = "aws"
    LOCAL = "local"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _money(value: Any) -> Any:
    return str(value) if isinstance(value, float) else value


def _variables(value: dict[str, str]) -> dict[str, str]:
    return dict(parse_variable(f"{name}={text}") for name, text in value.items())


def _places(value: dict[str, str]) -> dict[str, str]:
    return dict(parse_secret(f"{name}={text}") for name, text in value.items())


def _sources(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        parse_data(text)
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Need = Annotated[str, BeforeValidator(_text)]
Usd = Annotated[Decimal, BeforeValidator(_money), Field(ge=0)]


class ProjectSettings(_Section):
    """[project]"""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class SyncSettings(_Section):
    """[sync]: which files of the project are sent to machines."""

    include: tuple[str, ...] = ()
    """Patterns of .gitignore: what is sent although a .gitignore names it."""
    exclude: tuple[str, ...] = ()
    """Patterns of .gitignore, on top of it."""
    max_mb: Annotated[int, Field(ge=1, le=10_000)] = 500
    """The most that is sent to machines, in megabytes."""


class RunSettings(_Section):
    """[run]: what `train` takes when the command line does not say."""

    instance_type: Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=1)] = ("t3.medium",)
    gpus: Need | None = None
    cpus: Need | None = None
    memory: Need | None = None
    purchase: PurchaseOption = PurchaseOption.ON_DEMAND
    fallback: bool = False
    disk_gib: Annotated[int, Field(ge=8, le=16_384)] | None = None
    instance_profile: str | None = None
    max_runtime: Duration = timing.MAX_RUNTIME
    max_cost: Usd | None = None
    capacity_timeout: Duration = timing.CAPACITY_TIMEOUT
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    notify: NotifyLevel = NotifyLevel.ALL
    retry_exit_codes: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()
    keep_checkpoints: Annotated[int, Field(ge=1, le=1_000)] = 3
    verify_checkpoints: bool = False
    on_notice: OnNotice = OnNotice.SAVE
    ready_timeout: Duration = timing.READY_TIMEOUT
    heartbeat_timeout: Duration = timing.HEARTBEAT_TIMEOUT
    heartbeat_interval: Duration = timing.HEARTBEAT_INTERVAL
    save_limit: Duration = timing.SAVE_LIMIT
    setup: str = ""
    image: str = ""
    data: Annotated[tuple[str, ...], BeforeValidator(_one_or_many), AfterValidator(_sources)] = ()
    data_mode: DataMode = DataMode.DOWNLOAD
    output_dir: str = ""
    env: Annotated[dict[str, str], AfterValidator(_variables)] = {}
    secrets: Annotated[dict[str, str], AfterValidator(_places)] = {}


class ConfirmSettings(_Section):
    """[confirm]"""

    above_usd: Usd = Decimal(5)


class LocalSettings(_Section):
    """[local]: the cloud on this machine."""

    dir: Path = Path(".runctl/local")
    port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    boot_delay: Duration = timedelta(0)


class AwsSettings(_Section):
    """[aws]"""

    profile: str | None = None
    region: str | None = None


class MachineSettings(_Section):
    """[machines]: how many there may be before another one is created."""

    warn_above: Annotated[int, Field(ge=0)] = 10
    most: Annotated[int, Field(ge=1)] = 50


class LogSettings(_Section):
    """[logs]"""

    dir: Path | None = None


class Settings(_Section):
    """The whole configuration."""

    target: Target = Target.LOCAL
    project: ProjectSettings = ProjectSettings()
    sync: SyncSettings = SyncSettings()
    run: RunSettings = RunSettings()
    confirm: ConfirmSettings = ConfirmSettings()
    local: LocalSettings = LocalSettings()
    aws: AwsSettings = AwsSettings()
    machines: MachineSettings = MachineSettings()
    logs: LogSettings = LogSettings()


@dataclass(frozen=True)
class Configuration:
    """Settings, and where they hold."""

    settings: Settings
    root: Path | None
    """Folder of the project: the configuration file's, or the nearest that looks like one; None when none does."""
    folder: Path
    """What relative paths in the settings start from: the project's folder, or the working folder."""
    path: Path | None = None
    """The configuration file; None when there is none."""

    @property
    def local_dir(self) -> Path:
        """Where the local cloud keeps its state."""
        return self.folder / self.settings.local.dir

    @property
    def left_out(self) -> tuple[str, ...]:
        """Patterns of what is not sent: the settings' own, and the local cloud's state, wherever in the project the
        configuration puts it."""
        exclude = self.settings.sync.exclude
        state, folder = self.local_dir.absolute(), self.folder.absolute()
        if not state.is_relative_to(folder) or state == folder:
            return exclude
        return (*exclude, f"/{state.relative_to(folder).as_posix()}/")

    @property
    def log_dir(self) -> Path | None:
        """Where copies of followed logs go, if anywhere."""
        return None if self.settings.logs.dir is None else self.folder / self.settings.logs.dir
