"""A running server as the tests drive it: boto3, plain HTTP for metadata and faults, the file of events."""

import base64
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import boto3
import psutil
from botocore.config import Config

from runctl.local.emulator.settings import ACCOUNT_ID, REGION, SECRET_ACCESS_KEY

Answer = TypeVar("Answer")

ROOT = Path(__file__).parents[3]
AL2023 = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
ROLE = "machine-role"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass(frozen=True)
class Reply:
    """What an HTTP request got."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


@dataclass
class Cloud:
    """One server process and what was made in it."""

    state_dir: Path
    port: int
    process: subprocess.Popen[bytes]
    clients: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def start(cls, state_dir: Path, boot_delay_s: float = 0.0) -> "Cloud":
        """Start a server and wait until it takes connections."""
        state_dir.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = cast("int", probe.getsockname()[1])
        command = [sys.executable, "-m", "tests.local.machines.server", str(state_dir), str(port), str(boot_delay_s)]
        with (state_dir / "server.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        cloud = cls(state_dir, port, process)
        cloud.wait_until(cloud._is_listening, "the server's port", 30.0)
        return cloud

    def stop(self) -> None:
        """End the server as `down` does."""
        self.process.terminate()
        self.process.wait(timeout=20)

    def _is_listening(self) -> bool:
        assert self.process.poll() is None, (self.state_dir / "server.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def url(self) -> str:
        """The one endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, *, checked: bool = True) -> Any:
        """A boto3 client; one that is not `checked` sends parameters that it knows to be wrong."""
        name = service if checked else f"{service}, unchecked"
        if name not in self.clients:
            self.clients[name] = boto3.client(  # pyright: ignore[reportCallIssue, reportUnknownMemberType]
                service,  # pyright: ignore[reportArgumentType]
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=ACCOUNT_ID,
                aws_secret_access_key=SECRET_ACCESS_KEY,
                config=Config(parameter_validation=checked),
            )
        return self.clients[name]

    @property
    def ec2(self) -> Any:
        """EC2."""
        return self.client("ec2")

    @property
    def ssm(self) -> Any:
        """Systems Manager."""
        return self.client("ssm")

    def http(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        """Make a plain request."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}{path}", data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Reply(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.read().decode())

    def wait_until(self, look: Callable[[], Answer | None], what: str, timeout_s: float = 20.0) -> Answer:
        """Look again and again until there is an answer that is true."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if answer := look():
                return answer
            time.sleep(0.02)
        raise AssertionError(
            f"{what}: not seen in {timeout_s:.0f} s\n{(self.state_dir / 'server.log').read_text()[-4000:]}"
        )

    def events(self, **wanted: str) -> list[dict[str, Any]]:
        """Service events published so far; `wanted` are values of their detail, `_` for `-`."""
        file = self.state_dir / "events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        names = {name.replace("_", "-"): value for name, value in wanted.items()}
        events = [cast("dict[str, Any]", json.loads(line)) for line in lines]
        return [event for event in events if names.items() <= event["detail"].items()]

    def make_template(self, name: str, user_data: str = "", **data: object) -> str:
        """Make a launch template with our machine profile; answer its id."""
        iam = self.client("iam")
        if not any(role["RoleName"] == ROLE for role in iam.list_roles()["Roles"]):
            iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
            iam.create_instance_profile(InstanceProfileName=ROLE)
            iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
        template: dict[str, object] = {
            "ImageId": AL2023,
            "InstanceType": "t3.micro",
            "IamInstanceProfile": {"Name": ROLE},
            "UserData": base64.b64encode(user_data.encode()).decode(),
            "MetadataOptions": {"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
            "InstanceInitiatedShutdownBehavior": "terminate",
            **data,
        }
        answer = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=template)
        return cast("str", answer["LaunchTemplate"]["LaunchTemplateId"])

    def fleet_request(
        self, template_id: str, *, spot: bool = False, tags: dict[str, str] | None = None, **more: object
    ) -> dict[str, Any]:
        """A CreateFleet request for one machine."""
        return {
            "Type": "instant",
            "LaunchTemplateConfigs": [
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": template_id, "Version": "$Latest"},
                    "Overrides": [{"InstanceType": "t3.micro", "AvailabilityZone": f"{REGION}a"}],
                }
            ],
            "TargetCapacitySpecification": {
                "TotalTargetCapacity": 1,
                "DefaultTargetCapacityType": "spot" if spot else "on-demand",
            },
            "TagSpecifications": [
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in (tags or {"Name": "test"}).items()],
                }
            ],
            **more,
        }

    def launch(self, template_id: str, *, spot: bool = False, tags: dict[str, str] | None = None) -> str:
        """Launch one machine by CreateFleet; answer its id."""
        answer = self.ec2.create_fleet(**self.fleet_request(template_id, spot=spot, tags=tags))
        assert not answer["Errors"], answer["Errors"]
        return cast("str", answer["Instances"][0]["InstanceIds"][0])

    def instance(self, instance_id: str) -> dict[str, Any]:
        """The instance as EC2 shows it."""
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        return cast("dict[str, Any]", answer["Reservations"][0]["Instances"][0])

    def wait_for_state(self, instance_id: str, state: str) -> dict[str, Any]:
        """Wait until the instance is in a state."""

        def look() -> dict[str, Any] | None:
            instance = self.instance(instance_id)
            return instance if instance["State"]["Name"] == state else None

        return self.wait_until(look, f"{instance_id} {state}")

    def is_online(self, instance_id: str) -> bool:
        """Whether Systems Manager says that the machine is online."""
        answer = self.ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
        return any(agent["PingStatus"] == "Online" for agent in answer["InstanceInformationList"])

    def launch_online(self, template_id: str, *, spot: bool = False, tags: dict[str, str] | None = None) -> str:
        """Launch a machine and wait until its agent is online."""
        instance_id = self.launch(template_id, spot=spot, tags=tags)
        self.wait_until(lambda: self.is_online(instance_id), f"{instance_id} online")
        return instance_id

    def send(self, instance_id: str, *lines: str, **parameters: list[str]) -> str:
        """Send a shell script; answer the command's id."""
        answer = self.ssm.send_command(
            InstanceIds=[instance_id],
            DocumentName="AWS-RunShellScript",
            Parameters={"commands": list(lines), **parameters},
        )
        return cast("str", answer["Command"]["CommandId"])

    def wait_for_command(self, instance_id: str, command_id: str) -> dict[str, Any]:
        """Wait until a command has ended."""

        def look() -> dict[str, Any] | None:
            invocation = self.ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
            return invocation if invocation["Status"] not in ("Pending", "InProgress", "Cancelling") else None

        return self.wait_until(look, f"the end of command {command_id}")

    def shell(self, instance_id: str, *lines: str) -> str:
        """Run a shell script in a machine; answer what it wrote."""
        invocation = self.wait_for_command(instance_id, self.send(instance_id, *lines))
        assert invocation["Status"] == "Success", invocation
        return cast("str", invocation["StandardOutputContent"])


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
