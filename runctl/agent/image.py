"""Makes a container image ready, and says how the training is run in it."""

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from runctl.agent.environment import machine_environment
from runctl.agent.job import Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.run_log import RunLog
from runctl.agent.setup_command import run_setup_command
from runctl.agent.setup_error import SetupError

TOOLS: Final = ("docker", "podman")
"""Looked for in this order. The Deep Learning AMIs bring docker with NVIDIA's runtime."""

NVIDIA: Final = Path("/dev/nvidiactl")
"""There when NVIDIA's driver is loaded."""

_ECR: Final = re.compile(r"^\d{12}\.dkr\.ecr(-fips)?\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/")
"""A private registry (Amazon ECR User Guide, "Private registry")."""

_REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_READ_ONLY: Final = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"

MACHINE_LABEL: Final = "runctl.machine"
"""Of containers: by it those are found that an attempt left on a machine that is kept, all of whose keepers were
killed. Machines of the local target share one docker."""

_CONFIGURATION: Final = "DOCKER_CONFIG"
_OF_THE_MACHINE: Final = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT")
_OURS: Final = "RUNCTL_"


class Registry(Protocol):
    """Amazon ECR."""

    def password(self) -> str:
        """Answer the password of the user `AWS`. Raises OSError, with AWS's `code` where AWS answered."""
        ...


@dataclass(frozen=True)
class Image:
    """An image that is there, and what it is run with."""

    tool: str
    name: str
    has_gpus: bool


def is_private_ecr(image: str) -> bool:
    """Whether an image lies in somebody's own ECR, for which a machine must log in."""
    return _ECR.match(image) is not None


def pull(
    image: str,
    folder: AttemptFolder,
    registry: Registry | None,
    log: RunLog,
    cancelled: Callable[[], bool],
    which: Callable[[str], str | None] = shutil.which,
) -> Image:
    """Fetch the image. Raises SetupError, or SetupCancelledError when somebody asked for the end."""

    def run(name: str, *command: str, feed: Path | None = None) -> None:
        run_setup_command(command, name=name, log=log, cancelled=cancelled, environment=client(folder), feed=feed)

    tool = next(filter(None, map(which, TOOLS)), None)
    if tool is None:
        install = install_docker(which)
        log.say("installing docker")
        run("the installation of docker", *install)
        tool = which("docker")
        if tool is None:
            raise SetupError("docker was installed and is not found")
    if is_private_ecr(image):
        log_in(tool, image, folder, registry, run)
    log.say(f"fetching the image {image}")
    run(f"fetching the image {image}", tool, "pull", "--quiet", image)
    return Image(tool, image, NVIDIA.exists())


def log_in(tool: str, image: str, folder: AttemptFolder, registry: Registry | None, run: Callable[..., None]) -> None:
    """Log in to the image's registry with the machine's role; the password is read from a file, that is removed."""
    try:
        if registry is None:
            raise OSError("this machine has no way to ask Amazon ECR")
        password = registry.password()
    except OSError as error:
        hint = f"; runctl deploy --machine-policy {_READ_ONLY}" if getattr(error, "code", "") in _REFUSED else ""
        raise SetupError(f"Amazon ECR gave no password for {image}: {error}{hint}") from error
    file = folder.path / "registry-password"
    write_private(file, password)
    try:
        run("logging in to Amazon ECR", tool, "login", "--username", "AWS", "--password-stdin", _host(image), feed=file)
    finally:
        file.unlink(missing_ok=True)


def install_docker(which: Callable[[str], str | None]) -> tuple[str, ...]:
    """The command that installs docker (Amazon Linux 2023 User Guide; Ubuntu's package `docker.io`). Raises SetupError
    where there is no way, or the machine is somebody's own."""
    if "AWS_EC2_METADATA_SERVICE_ENDPOINT" in os.environ:
        # Its metadata are not EC2's: nothing is installed there.
        raise SetupError("neither docker nor podman is installed on this machine")
    if which("dnf") is not None:
        return ("sh", "-c", "dnf install -y -q docker && systemctl start docker")
    if which("apt-get") is not None:
        return ("sh", "-c", "apt-get update -q && apt-get install -y -q docker.io && systemctl start docker")
    raise SetupError("docker cannot be installed here: there is neither dnf nor apt-get")


def client(folder: AttemptFolder) -> dict[str, str]:
    """The environment of the tool itself: the machine's, with logins that are this attempt's alone."""
    logins = folder.path / "registry"
    return machine_environment(os.environ) | {
        _CONFIGURATION: str(logins),
        "REGISTRY_AUTH_FILE": str(logins / "config.json"),
    }


def write_spec(
    image: Image,
    command: Sequence[str],
    variables: Mapping[str, str],
    mounted: Sequence[Path],
    job: Job,
    folder: AttemptFolder,
) -> dict[str, str]:
    """Write what `runctl.agent.container` runs, and the variables, for the owner alone; answers the environment to run
    it with. Raises OSError.

    A file of variables has one line for each: a value of several lines is passed by its name, from that environment.
    """
    lines = {name: value for name, value in variables.items() if "\n" not in value and "\r" not in value}
    by_name = {name: value for name, value in variables.items() if name not in lines}
    file = folder.path / "container.env"
    write_private(file, "".join(f"{name}={value}\n" for name, value in lines.items()))
    name = f"runctl-{job.run_id}-{job.attempt}"
    spec = {
        "tool": image.tool,
        "name": name,
        "variables": str(file),
        "leftovers": f"label={MACHINE_LABEL}={job.instance_id}",
        "create": create_command(image, name, command, file, sorted(by_name), mounted, folder, job),
    }
    write_private(folder.container, json.dumps(spec))
    return client(folder) | by_name


def create_command(
    image: Image,
    name: str,
    command: Sequence[str],
    variables: Path,
    by_name: Sequence[str],
    mounted: Sequence[Path],
    folder: AttemptFolder,
    job: Job,
) -> list[str]:
    """The words after the tool's name that make the container.

    The host's network: the instance metadata are one hop away, and stay so. The host's shared memory, by which data
    loaders of PyTorch pass their batches. A small init, so that signals do to the training what they do outside.
    Nothing is logged a second time: what it prints goes to the training's own log.
    """
    gpus = ()
    if image.has_gpus:
        gpus = ("--device", "nvidia.com/gpu=all") if Path(image.tool).name == "podman" else ("--gpus", "all")
    return [
        *("create", "--name", name, "--label", f"runctl.run={job.run_id}"),
        *("--label", f"{MACHINE_LABEL}={job.instance_id}", "--pull", "never"),
        *("--init", "--network", "host", "--ipc", "host", "--ulimit", "memlock=-1", "--log-driver", "none"),
        *gpus,
        *("--user", f"{os.getuid()}:{os.getgid()}", "--workdir", str(folder.code)),
        *("--env-file", str(variables)),
        *(word for each in by_name for word in ("--env", each)),
        *(word for path in mounted for word in ("--mount", _bind(path))),
        image.name,
        *command,
    ]


def container_variables(environment: Mapping[str, str], job: Job, secrets: Mapping[str, str]) -> dict[str, str]:
    """What a container sees of a training's environment: the image has a PATH and a HOME of its own."""
    own = {**job.environment, **secrets}
    return {
        name: value
        for name, value in environment.items()
        if name in own or name in _OF_THE_MACHINE or name.startswith(_OURS) or name == "PYTHONUNBUFFERED"
    }


def mounted_paths(folder: AttemptFolder, data: Sequence[Path]) -> list[Path]:
    """What is there in the container at the same path."""
    own = [folder.code, folder.checkpoints, folder.output, folder.scratch, folder.resume, folder.data, folder.metrics]
    folder.metrics.touch()
    there = [path for path in own if path.exists()]
    return there + [path for path in data if path.exists() and not any(path.is_relative_to(each) for each in there)]


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else may read. Raises OSError."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _host(image: str) -> str:
    return image.partition("/")[0]


def _bind(path: Path) -> str:
    """A row of CSV (Docker's reference, "--mount"): a path may have a comma in it."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(("type=bind", f"source={path}", f"target={path}"))
    return row.getvalue()
