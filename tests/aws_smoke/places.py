"""Where the smoke runs: a real account, or the cloud on this machine. Both are driven by the same commands."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import boto3

from runctl.client.client import Client
from runctl.client.connect import connect
from tests.aws_smoke.interruption import FisInterruption


class CommandFailed(Exception):
    """A command of ours ended otherwise than it should."""


@dataclass(frozen=True)
class Place:
    """An account and Region, a project folder, and how a machine is taken away there."""

    target: str
    account: str
    region: str
    project: Path
    client: Callable[[str], Any]
    connect: Callable[[], Client]
    """The Python API, once something is deployed. What is asked often is asked by it."""
    options: tuple[str, ...] = ()
    """What `deploy` and `destroy` are told of the account."""
    fault: Callable[["Place", str], None] = lambda place, instance_id: None
    look_every_s: float = 10.0
    patience_s: float = 1_800.0
    """For a run: two launches, two boots and the two minutes of notice."""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def runctl(self, *arguments: str, timeout_s: float = 1_800.0) -> Any:
        """Run a command; answer its `data`. Raises CommandFailed with what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "runctl_cli", "--output", "json", "--target", self.target, *arguments],
            cwd=self.project,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(
                f"runctl {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return cast("dict[str, Any]", json.loads(done.stdout))["data"]

    def interrupt(self, instance_id: str) -> None:
        """Have EC2 take a spot machine back, with a notice."""
        self.fault(self, instance_id)


def aws_place(project: Path, *, profile: str | None, region: str | None) -> Place:
    """The account that the credentials lead to. Raises botocore's errors where there are none."""
    session = boto3.Session(profile_name=profile, region_name=region)
    client = cast("Callable[[str], Any]", session.client)
    account = client("sts").get_caller_identity()["Account"]
    chosen = [("--profile", profile), ("--region", session.region_name)]
    (project / ".runctl.toml").write_text(_settings("aws", profile, session.region_name))
    return Place(
        target="aws",
        account=account,
        region=session.region_name,
        project=project,
        client=client,
        connect=lambda: Client(connect(profile=profile, region=region), project=project.name),
        options=tuple(word for name, value in chosen if value is not None for word in (name, value)),
        fault=lambda place, instance_id: FisInterruption(
            place.client("fis"), place.client("iam"), account=place.account, region=place.region
        ).interrupt(instance_id),
    )


def local_place(project: Path) -> Place:
    """The cloud on this machine, which is brought up."""
    (project / ".runctl.toml").write_text(_settings("local", None, None))
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "RUNCTL_"))}
    bare = Place("local", "", "", project, client=_nothing, connect=_nothing, environment=clean)
    bare.runctl("local", "up")
    variables = bare.runctl("local", "env")

    def client(service: str) -> Any:
        return cast("Any", boto3.client)(
            service,
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )

    def fault(place: Place, instance_id: str) -> None:
        place.runctl("local", "interrupt", instance_id, "--notice", "4s")

    return Place(
        target="local",
        account=client("sts").get_caller_identity()["Account"],
        region=variables["AWS_REGION"],
        project=project,
        client=client,
        connect=lambda: Client(connect(environment=variables), project=project.name),
        fault=fault,
        look_every_s=0.3,
        patience_s=120.0,
        environment=clean,
    )


def _nothing(*_: str) -> Any:
    raise CommandFailed("The local target is not up yet.")


def _settings(target: str, profile: str | None, region: str | None) -> str:
    told = [f"{name} = {json.dumps(value)}" for name, value in (("profile", profile), ("region", region)) if value]
    return f'target = "{target}"\n' + ("\n[aws]\n" + "\n".join(told) + "\n" if told else "")
