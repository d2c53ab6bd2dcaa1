"""The instance metadata service, under `/imds/<instance id>/`.

Paths and categories: EC2 User Guide, "Access instance metadata for an EC2 instance" and "Instance metadata categories";
the token: "How Instance Metadata Service Version 2 works".
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from runctl.local.machines.clock import now, seconds_iso
from runctl.local.machines.ec2.view import private_dns_name
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import Machine
from runctl.local.machines.wire.asgi import Request, Response

PREFIX = "/imds/"
_TOKEN_HEADER = "x-aws-ec2-metadata-token"
_TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
_TTL_LIMIT_S = 21_600
_RENEWED_BEFORE_END = timedelta(minutes=20)
"""New credentials come at least five minutes before the old ones end, and botocore asks from 15 minutes on."""

Tree = Mapping[str, "str | Tree"]


class CreateRoleCredentials(Protocol):
    """Makes temporary credentials of a role, as EC2 does for an instance profile."""

    def __call__(self, role_arn: str, session_name: str, /) -> Mapping[str, str]:
        """Answer `AccessKeyId`, `SecretAccessKey`, `Token` and `Expiration` (ISO 8601).

        `session_name` is the instance id: `aws:userid` is then `<role id>:<instance id>`. Called from a worker thread.
        """
        ...


@dataclass(frozen=True)
class _Credentials:
    text: str
    renewed_at: datetime


class MetadataService:
    """Answers the metadata service of every machine."""

    def __init__(
        self,
        keeper: MachineKeeper,
        create_role_credentials: CreateRoleCredentials,
        *,
        region: str,
        account_id: str,
    ) -> None:
        self._keeper = keeper
        self._create_role_credentials = create_role_credentials
        self._region = region
        self._account_id = account_id
        self._key = secrets.token_bytes(32)
        self._credentials: dict[str, _Credentials] = {}

    async def answer(self, request: Request) -> Response:
        """Answer a request below `/imds/`."""
        instance_id, _, path = request.path.removeprefix(PREFIX).partition("/")
        machine = self._keeper.get(instance_id)
        if machine is None or machine.is_ended:
            return Response.text("Not Found", 404)
        path = path.strip("/")
        if path == "latest/api/token":
            return self._give_token(instance_id, request)
        if request.method not in ("GET", "HEAD"):
            return Response.text("Method Not Allowed", 405)
        token = request.headers.get(_TOKEN_HEADER)
        if machine.requires_token if token is None else not self._is_valid(token, instance_id):
            return Response.text("Unauthorized", 401)
        return await self._read(machine, path)

    def _give_token(self, instance_id: str, request: Request) -> Response:
        """A token that only this machine's service takes, until its time is over."""
        if request.method != "PUT":
            return Response.text("Method Not Allowed", 405)
        if "x-forwarded-for" in request.headers:
            return Response.text("Forbidden", 403)
        ttl = request.headers.get(_TTL_HEADER, "")
        if not ttl.isdigit() or not 1 <= int(ttl) <= _TTL_LIMIT_S:
            return Response.text("Bad Request", 400)
        end = str(int(time.time()) + int(ttl)).encode()
        token = base64.urlsafe_b64encode(end + b" " + self._sign(instance_id, end)).decode()
        return Response.text(token, headers={_TTL_HEADER: ttl})

    def _is_valid(self, token: str, instance_id: str) -> bool:
        try:
            end, _, signature = base64.urlsafe_b64decode(token).partition(b" ")
        except ValueError:
            return False
        return hmac.compare_digest(signature, self._sign(instance_id, end)) and int(end) > time.time()

    def _sign(self, instance_id: str, end: bytes) -> bytes:
        return hmac.digest(self._key, instance_id.encode() + b" " + end, hashlib.sha256)

    async def _read(self, machine: Machine, path: str) -> Response:
        match path.split("/"):
            case ["latest", "meta-data", "iam", "security-credentials", name] if name == machine.role_name:
                return Response.text(await self._role_credentials(machine))
            case ["latest", "meta-data", *parts]:
                return _look_up(_metadata(machine, self._region), parts)
            case ["latest", "dynamic", *parts]:
                return _look_up({"instance-identity": {"document": self._identity(machine)}}, parts)
            case ["latest", "user-data"] if machine.user_data:
                return Response(200, base64.b64decode(machine.user_data), "application/octet-stream")
            case ["latest"]:
                return Response.text("dynamic\nmeta-data\nuser-data" if machine.user_data else "dynamic\nmeta-data")
            case _:
                return Response.text("Not Found", 404)

    async def _role_credentials(self, machine: Machine) -> str:
        known = self._credentials.get(machine.instance_id)
        if known is None or now() >= known.renewed_at:
            arn = cast("str", machine.role_arn)
            made = await asyncio.to_thread(self._create_role_credentials, arn, machine.instance_id)
            document = {
                "Code": "Success",
                "LastUpdated": seconds_iso(now()),
                "Type": "AWS-HMAC",
                **{name: made[name] for name in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")},
            }
            end = datetime.fromisoformat(made["Expiration"])
            known = _Credentials(json.dumps(document, indent=2), end - _RENEWED_BEFORE_END)
            self._credentials[machine.instance_id] = known
        return known.text

    def _identity(self, machine: Machine) -> str:
        document: dict[str, Any] = {
            "accountId": self._account_id,
            "architecture": machine.architecture,
            "availabilityZone": machine.zone,
            "billingProducts": None,
            "devpayProductCodes": None,
            "imageId": machine.image_id,
            "instanceId": machine.instance_id,
            "instanceType": machine.instance_type,
            "kernelId": None,
            "marketplaceProductCodes": None,
            "pendingTime": seconds_iso(datetime.fromisoformat(machine.launched_at)),
            "privateIp": machine.private_ip,
            "ramdiskId": None,
            "region": self._region,
            "version": "2017-09-30",
        }
        return json.dumps(document, indent=2)


def _metadata(machine: Machine, region: str) -> Tree:
    hostname = private_dns_name(machine, region)
    tree: dict[str, str | Tree] = {
        "ami-id": machine.image_id,
        "ami-launch-index": "0",
        "hostname": hostname,
        "instance-action": "none",
        "instance-id": machine.instance_id,
        "instance-life-cycle": machine.lifecycle,
        "instance-type": machine.instance_type,
        "local-hostname": hostname,
        "local-ipv4": machine.private_ip,
        "placement": {
            "availability-zone": machine.zone,
            "availability-zone-id": machine.zone_id,
            "region": region,
        },
        "reservation-id": machine.reservation_id,
        "security-groups": "\n".join(group["GroupName"] for group in machine.security_groups),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if machine.public_ip is not None:
        tree["public-ipv4"] = machine.public_ip
    if machine.role_name is not None:
        tree["iam"] = {"info": _profile_info(machine), "security-credentials": {machine.role_name: ""}}
    if machine.shows_tags:
        tree["tags"] = {"instance": machine.tags}
    if machine.interrupted_at is not None:
        end = seconds_iso(datetime.fromisoformat(machine.interrupted_at))
        action = json.dumps({"action": "terminate", "time": end})
        tree["spot"] = {"instance-action": action, "termination-time": end}
    if machine.rebalance_at is not None:
        notice = json.dumps({"noticeTime": seconds_iso(datetime.fromisoformat(machine.rebalance_at))})
        tree["events"] = {"recommendations": {"rebalance": notice}}
    return tree


def _profile_info(machine: Machine) -> str:
    document = {
        "Code": "Success",
        "LastUpdated": seconds_iso(now()),
        "InstanceProfileArn": machine.profile_arn,
        "InstanceProfileId": machine.profile_id,
    }
    return json.dumps(document, indent=2)


def _look_up(tree: Tree, parts: list[str]) -> Response:
    """A leaf's text, or the names below a branch; names of branches end with a slash."""
    node: str | Tree = tree
    for part in parts:
        if isinstance(node, str) or part not in node:
            return Response.text("Not Found", 404)
        node = node[part]
    if isinstance(node, str):
        return Response.text(node)
    return Response.text(
        "\n".join(f"{name}/" if isinstance(child, Mapping) else name for name, child in sorted(node.items()))
    )
