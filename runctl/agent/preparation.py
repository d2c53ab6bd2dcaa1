"""Makes a training ready: code, environment, checkpoint to resume from, and the variables it is promised."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from runctl.agent import container
from runctl.agent.data import DataStore, data_path, fetch_data, install_mountpoint, mount_command
from runctl.agent.environment import machine_environment, with_path_before
from runctl.agent.image import Image, Registry, container_variables, mounted_paths, pull, write_spec
from runctl.agent.installing import install
from runctl.agent.instance_store import InstanceStore
from runctl.agent.job import MOUNT, DataSource, Go, Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.object_store import ObjectStore
from runctl.agent.package_keeping import Installed
from runctl.agent.packages import find_packages
from runctl.agent.project_code import fetch_code
from runctl.agent.resume import CheckpointFetcher, Links, Resumed
from runctl.agent.run_log import RunLog
from runctl.agent.secrets import Secrets, read_secrets
from runctl.agent.setup_command import run_setup_command
from runctl.agent.setup_error import SetupError


@dataclass(frozen=True)
class Prepared:
    """What to start."""

    command: tuple[str, ...]
    environment: dict[str, str]
    resumed: Resumed | None
    max_runtime_s: float
    code_files: int | None = None
    """How many files of the project arrived, each with the hash that the laptop gave it."""
    installed: Installed | None = None
    """Packages that came from an index, for a later attempt."""


def prepare(
    job: Job,
    folder: AttemptFolder,
    tools: Path,
    store: ObjectStore,
    links: Links,
    secrets: Secrets,
    log: RunLog,
    cancelled: Callable[[], bool],
    pass_fence: Callable[[], Go],
    data: DataStore | None = None,
    registry: Registry | None = None,
    instance_store: InstanceStore | None = None,
) -> Prepared:
    """Make the training ready. Raises SetupError, or SetupCancelledError once `cancelled` says so.

    All that takes long comes first; what to resume from is known only when `pass_fence` answers.
    """
    files = fetch_code(job.code, store, folder.code, cancelled)
    script = job.script or script_of_command(job.command, folder.code)
    if job.script and not (folder.code / script).is_file():
        raise SetupError(f"the project's code has no {job.script}")
    log.say(_verified(script, files, job.code.sha256))
    if instance_store is not None:
        instance_store.give(folder, log, cancelled)
    if job.output_dir:
        lay_output_dir(folder.code / job.output_dir, folder.output)
    prepare_data(job, folder, data, log, cancelled)
    secret_values = read_secrets(job.secrets, secrets)
    image, installed = None, None
    if job.image:
        image, python = pull(job.image, folder, registry, log, cancelled), Path("python3")
    else:
        packages = find_packages(folder.code, script)
        python, installed = install(job, folder, tools, packages, links, log, cancelled)
    command = training_command(python, folder.code, job)
    if job.setup:
        _set_up(job, folder, python, secret_values, log, cancelled)
    go = pass_fence()
    resumed = CheckpointFetcher(folder.resume, links, log.say, cancelled).fetch(go.resume_points)
    variables = training_environment(os.environ, python, job, folder, resumed, secret_values)
    if image is not None:
        command, variables = in_container(image, command, variables, secret_values, job, folder)
    return Prepared(command, variables, resumed, go.max_runtime_s, files, installed)


def in_container(
    image: Image,
    command: Sequence[str],
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    job: Job,
    folder: AttemptFolder,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Say what runs the command in a container, and with which environment. Raises SetupError."""
    data = [data_path(source, folder.code, folder.data) for source in job.data]
    seen = container_variables(environment, job, secrets)
    try:
        client = write_spec(image, command, seen, mounted_paths(folder, data), job, folder)
    except OSError as error:
        raise SetupError(f"the container could not be made ready: {error}") from error
    return (sys.executable, "-I", "-S", container.__file__, str(folder.container)), client


def _set_up(
    job: Job,
    folder: AttemptFolder,
    python: Path,
    secrets: Mapping[str, str],
    log: RunLog,
    cancelled: Callable[[], bool],
) -> None:
    log.say("running the set-up command")
    run_setup_command(
        (_shell(), "-c", job.setup),
        name="the set-up command",
        log=log,
        cancelled=cancelled,
        environment=training_environment(os.environ, python, job, folder, None, secrets),
        folder=folder.code,
    )


def prepare_data(
    job: Job, folder: AttemptFolder, data: DataStore | None, log: RunLog, cancelled: Callable[[], bool]
) -> None:
    """Fetch or mount what the training reads. Raises SetupError."""
    for source in job.data:
        target = data_path(source, folder.code, folder.data)
        if job.data_mode == MOUNT:
            _mount(source, target, job.region, log, cancelled)
            log.say(f"mounted {source.url} at {target}")
            continue
        if data is None:
            raise SetupError("this machine cannot read data of S3")
        log.say(f"fetching {source.url}")
        files, size = fetch_data(source, data, target, cancelled)
        log.say(f"fetched {files} {'file' if files == 1 else 'files'}, {size / 1e6:,.1f} MB, to {target}")


def _mount(source: DataSource, target: Path, region: str, log: RunLog, cancelled: Callable[[], bool]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, command in (
        ("the installation of Mountpoint for Amazon S3", install_mountpoint()),
        (f"mounting {source.url}", mount_command(source, target, region)),
    ):
        if command:
            run_setup_command(
                command, name=name, log=log, cancelled=cancelled, environment=machine_environment(os.environ)
            )


def lay_output_dir(path: Path, output: Path) -> None:
    """Let a folder of the project be the one whose content is kept with the run; what the project has in it already is
    moved along. Raises SetupError."""
    try:
        if path.is_dir():
            for entry in path.iterdir():
                shutil.move(entry, output / entry.name)
            path.rmdir()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(output, target_is_directory=True)
    except OSError as error:
        raise SetupError(f"the output folder {path.name} could not be made: {error}") from error


def _verified(script: str, files: int, sha256: str) -> str:
    """Said when every file has the hash that the laptop gave it, and the script is there."""
    found = "script and directories" if script else "files and directories"
    return f"Code sync verified: {found} found ({files} {'file' if files == 1 else 'files'}, sha256 {sha256[:12]})"


def _shell() -> str:
    """The shell that people type commands into, where there is one: `source` and `[[` are its own."""
    return shutil.which("bash") or "/bin/sh"


_PYTHON = frozenset({"python", "python3"})


def script_of_command(command: Sequence[str], code: Path) -> str:
    """The first word of a command that names a file of the project: packages are looked for from there up. Empty, for
    the project's root, when there is none."""
    root = code.resolve()
    for word in command:
        try:
            path = (root / word).resolve()
            if path.is_file() and path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        except (OSError, ValueError):
            continue  # a word may be too long for a name, or hold what no name can
    return ""


def training_command(python: Path, code: Path, job: Job) -> tuple[str, ...]:
    """A Python script by its path in the project, as a person would type it there; a module by its name; a shell
    script by bash unless it is executable; anything else by itself."""
    if job.command:
        first, *rest = job.command
        return (str(python) if first in _PYTHON else first, *rest, *job.args)
    if job.module:
        return (str(python), "-m", job.module, *job.args)
    script = code / job.script
    if script.suffix == ".py":
        return (str(python), job.script, *job.args)
    if os.access(script, os.X_OK):
        return (str(script), *job.args)
    if script.suffix == ".sh":
        return ("bash" if job.image else _shell(), job.script, *job.args)
    raise SetupError(f"{job.script} is neither a Python script, nor a shell script, nor executable")


def training_environment(
    machine: Mapping[str, str],
    python: Path,
    job: Job,
    folder: AttemptFolder,
    resumed: Resumed | None,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The machine's environment, the user's own variables over it, and what we promise over both."""
    environment = machine_environment(machine)
    environment.setdefault("AWS_REGION", job.region)
    environment.setdefault("AWS_DEFAULT_REGION", job.region)
    if python.is_relative_to(folder.environment):
        environment["VIRTUAL_ENV"] = str(folder.environment)
        environment = with_path_before(environment, python.parent)
    environment.update(job.environment)
    environment.update(secrets)
    environment.update(
        {
            "RUNCTL_RUN_ID": job.run_id,
            "RUNCTL_ATTEMPT": str(job.attempt),
            "RUNCTL_CHECKPOINT_DIR": str(folder.checkpoints),
            "RUNCTL_OUTPUT_DIR": str(folder.output),
            "RUNCTL_SCRATCH_DIR": str(folder.scratch),
            "RUNCTL_METRICS_FILE": str(folder.metrics),
            "PYTHONUNBUFFERED": "1",
        }
    )
    environment.pop("RUNCTL_RESUME_FROM", None)
    environment.pop("RUNCTL_DATA_DIR", None)
    if job.data:
        environment["RUNCTL_DATA_DIR"] = str(folder.data)
    if resumed is not None:
        environment["RUNCTL_RESUME_FROM"] = str(resumed.path)
    return environment
