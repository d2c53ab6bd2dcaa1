"""SSM agents: which machines Systems Manager knows, and which of them answer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from runctl.local.machines.clock import now
from runctl.local.machines.ec2.filters import matching
from runctl.local.machines.ec2.view import private_dns_name
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import Machine, State
from runctl.local.machines.wire.errors import AwsError
from runctl.local.machines.wire.pages import page

Json = dict[str, Any]

_AGENT_VERSION = "3.3.2299.0"
_LOSS_NOTICED_AFTER = timedelta(minutes=5)
"""Silence after which an agent is no longer called online: it pings every five minutes (Systems Manager User Guide)."""

_FILTERS: dict[str, Callable[[Json], list[str]]] = {
    "InstanceIds": lambda agent: [agent["InstanceId"]],
    "PingStatus": lambda agent: [agent["PingStatus"]],
    "PingStatusTypes": lambda agent: [agent["PingStatus"]],
    "PlatformTypes": lambda agent: [agent["PlatformType"]],
    "ResourceType": lambda agent: [agent["ResourceType"]],
    "ResourceTypes": lambda agent: [agent["ResourceType"]],
}


class Agents:
    """Knows which machines' SSM agents are registered, online or lost."""

    def __init__(self, keeper: MachineKeeper, *, region: str) -> None:
        self._keeper = keeper
        self._region = region

    async def describe(self, parameters: Json) -> Json:
        """DescribeInstanceInformation."""
        agents = [self._view(machine) for machine in self._keeper.all() if self.is_registered(machine)]
        wanted = [{"Name": each["Key"], "Values": each["Values"]} for each in parameters.get("Filters", [])]
        wanted += [
            {"Name": each["key"], "Values": each["valueSet"]}
            for each in parameters.get("InstanceInformationFilterList", [])
        ]
        tags = {agent["InstanceId"]: self._tags(agent["InstanceId"]) for agent in agents}
        shown, next_token = page(
            _matching(agents, wanted, tags),
            lambda agent: agent["InstanceId"],
            limit=parameters.get("MaxResults", 10),
            token=parameters.get("NextToken"),
            invalid_token=AwsError("InvalidNextToken", "The specified token isn't valid."),
        )
        return {"InstanceInformationList": shown, "NextToken": next_token}

    def is_registered(self, machine: Machine) -> bool:
        """Whether Systems Manager knows the machine: it has booted, has a role to speak with, and is not ended."""
        return machine.first_booted and machine.role_name is not None and not machine.is_ended

    def is_reachable(self, machine: Machine) -> bool:
        """Whether a command is accepted for the machine. One that died silently is believed to be alive."""
        online = self._keeper.online_since(machine.instance_id) is not None
        return self.is_registered(machine) and machine.state is State.RUNNING and online

    def _tags(self, instance_id: str) -> dict[str, str]:
        machine = self._keeper.get(instance_id)
        return machine.tags if machine is not None else {}

    def _view(self, machine: Machine) -> Json:
        lost_at = self._keeper.lost_at(machine.instance_id)
        is_online = self._keeper.online_since(machine.instance_id) is not None
        last_ping = now() if lost_at is None else lost_at
        if lost_at is not None and now() - lost_at >= _LOSS_NOTICED_AFTER:
            is_online = False
        if not is_online and lost_at is None:
            last_ping = datetime.fromisoformat(machine.transitioned_at)
        return {
            "AgentVersion": _AGENT_VERSION,
            "ComputerName": private_dns_name(machine, self._region),
            "IPAddress": machine.private_ip,
            "InstanceId": machine.instance_id,
            "IsLatestVersion": True,
            "LastPingDateTime": last_ping,
            "PingStatus": "Online" if is_online else "ConnectionLost",
            "PlatformName": "Amazon Linux",
            "PlatformType": "Linux",
            "PlatformVersion": "2023",
            "ResourceType": "EC2Instance",
            "SourceId": machine.instance_id,
            "SourceType": "AWS::EC2::Instance",
        }


def _matching(agents: list[Json], wanted: list[Json], tags: dict[str, dict[str, str]]) -> list[Json]:
    try:
        return matching(agents, wanted, _FILTERS, lambda agent: tags[agent["InstanceId"]])
    except AwsError as error:
        raise AwsError("InvalidInstanceInformationFilterValue", error.message) from error
