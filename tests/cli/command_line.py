"""The command line in this process, over a deployment in memory and a local cloud that only takes notes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runctl.client.client import Client
from runctl.errors import RunctlError
from runctl.local.cloud import CloudStatus, LocalShell
from runctl_cli.main import main
from runctl_cli.settings import Configuration
from runctl_cli.wiring import Wiring
from tests.cli.answers import problem_of_answer
from tests.cli.deployments import GivenFindings, NotedDeploying, NotedDestroying
from tests.client.deployment import MemoryDeployment


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)

    @property
    def data(self) -> Any:
        """Its `data`."""
        return self.document["data"]

    @property
    def error(self) -> dict[str, str]:
        """Its one error."""
        (error,) = self.document["errors"]
        return error


@dataclass
class NotedCloud:
    """A local cloud that notes what it is asked."""

    folder: Path
    is_up: bool = True
    calls: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    shells: dict[str, LocalShell] = field(default_factory=dict[str, LocalShell])
    """How a shell on a machine is begun, by its id."""

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def up(self, *, port: int | None = None, boot_delay_s: float = 0.0, say: Callable[[str], None]) -> CloudStatus:
        self.calls.append(("up", port, boot_delay_s))
        say("Started the local cloud.")
        self.is_up = True
        return self.status()

    def down(self, *, say: Callable[[str], None]) -> bool:
        self.calls.append(("down",))
        say("The local cloud is down.")
        return self.is_up

    def status(self) -> CloudStatus:
        if not self.is_up:
            return CloudStatus(is_up=False)
        return CloudStatus(True, "http://127.0.0.1:4566", 42, 1_764_000_000.0, "CREATE_COMPLETE", 120.0)

    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_SECRET_ACCESS_KEY": "it's local"}

    def shell(self, instance_id: str, folder: str) -> LocalShell:
        self.calls.append(("shell", instance_id, folder))
        return self.shells[instance_id]

    def interrupt(self, instance_id: str, notice_s: float) -> None:
        self.calls.append(("interrupt", instance_id, notice_s))

    def kill(self, instance_id: str, silent: bool = False) -> None:
        self.calls.append(("kill", instance_id, silent))

    def no_capacity(self, pools: Sequence[str], for_s: float) -> None:
        self.calls.append(("no_capacity", list(pools), for_s))


@dataclass
class MemoryWiring(Wiring):
    """Stands for `runctl_cli.wiring.Wiring`."""

    deployment: MemoryDeployment
    cloud: NotedCloud
    refusal: RunctlError | None = None
    """What making a client answers instead of one."""
    of_deploying: NotedDeploying = field(default_factory=NotedDeploying)
    of_destroying: NotedDestroying = field(default_factory=NotedDestroying)
    of_checks: GivenFindings = field(default_factory=GivenFindings)
    configurations: list[Configuration] = field(default_factory=list[Configuration])
    """With what a target was asked for."""

    def client(self, configuration: Configuration) -> Client:
        if self.refusal is not None:
            raise self.refusal
        folder = configuration.folder
        return self.deployment.client(project=configuration.settings.project.name or folder.name)

    def local_cloud(self, configuration: Configuration) -> NotedCloud:
        return self.cloud

    def deploying(self, configuration: Configuration, say: Callable[[str], None]) -> NotedDeploying:
        self.configurations.append(configuration)
        return self.of_deploying

    def destroying(self, configuration: Configuration, say: Callable[[str], None]) -> NotedDestroying:
        self.configurations.append(configuration)
        return self.of_destroying

    def checks(self, configuration: Configuration, instance_types: Sequence[str]) -> GivenFindings:
        if self.refusal is not None:
            raise self.refusal
        self.configurations.append(configuration)
        return self.of_checks.of(instance_types)


class CommandLine:
    """`runctl` in one folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.deployment = MemoryDeployment()
        self.cloud = NotedCloud(folder)
        self.wiring = MemoryWiring(self.deployment, self.cloud)
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Answer:
        """Run a command as a person would."""
        self._capsys.readouterr()
        exit_code = main(arguments, self.wiring)
        told = self._capsys.readouterr()
        return Answer(exit_code, told.out, told.err)

    def json(self, *arguments: str) -> Answer:
        """Run a command with `--output json`; what it answers is as docs/reference/answers.schema.json says."""
        answer = self("--output", "json", *arguments)
        problem = problem_of_answer(answer.document)
        assert problem is None, problem
        return answer
