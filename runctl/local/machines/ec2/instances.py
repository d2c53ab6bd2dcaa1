"""Instances: describe, terminate, stop, start, reboot, status, console."""

import base64
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from runctl.local.machines.clock import now
from runctl.local.machines.ec2.filters import matching
from runctl.local.machines.ec2.view import instance_view, private_dns_name, state_view
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import Machine, State
from runctl.local.machines.wire.errors import AwsError
from runctl.local.machines.wire.pages import page

Json = dict[str, Any]

_INSTANCE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")
_CONSOLE_LIMIT = 64 * 1024
"""GetConsoleOutput answers the last 64 KB (EC2 API Reference)."""


class Instances:
    """EC2's calls about instances that exist."""

    def __init__(self, keeper: MachineKeeper, *, region: str, account_id: str) -> None:
        self._keeper = keeper
        self._region = region
        self._account_id = account_id
        self._filters = _instance_filters(region)

    async def describe(self, parameters: Json) -> Json:
        """DescribeInstances."""
        machines = matching(self._wanted(parameters), parameters.get("Filters"), self._filters, _tags)
        shown, next_token = _page(machines, parameters)
        reservations: dict[str, list[Machine]] = {}
        for machine in shown:
            reservations.setdefault(machine.reservation_id, []).append(machine)
        views = [
            {
                "ReservationId": reservation_id,
                "OwnerId": self._account_id,
                "Groups": [],
                "Instances": [instance_view(machine, self._region) for machine in together],
            }
            for reservation_id, together in reservations.items()
        ]
        return {"Reservations": views, "NextToken": next_token}

    async def describe_status(self, parameters: Json) -> Json:
        """DescribeInstanceStatus: running instances only, unless all are asked for. Checks pass at once."""
        machines = self._wanted(parameters)
        if not parameters.get("IncludeAllInstances"):
            machines = [machine for machine in machines if machine.state is State.RUNNING]
        machines = matching(machines, parameters.get("Filters"), self._filters, _tags)
        shown, next_token = _page(machines, parameters)
        return {"InstanceStatuses": [self._status(machine) for machine in shown], "NextToken": next_token}

    async def terminate(self, parameters: Json) -> Json:
        """TerminateInstances; one that is terminated already stays so."""
        return {"TerminatingInstances": self._change(parameters, lambda _: None, self._keeper.terminate)}

    async def stop(self, parameters: Json) -> Json:
        """StopInstances; a one-time spot instance is refused, as every spot instance here is one."""
        return {"StoppingInstances": self._change(parameters, _check_can_stop, self._stop)}

    async def start(self, parameters: Json) -> Json:
        """StartInstances."""
        return {"StartingInstances": self._change(parameters, _check_can_start, self._start)}

    async def reboot(self, parameters: Json) -> Json:
        """RebootInstances."""
        self._change(parameters, _check_can_reboot, self._keeper.reboot)
        return {}

    async def console_output(self, parameters: Json) -> Json:
        """GetConsoleOutput: what user data wrote, at once and not only after minutes."""
        machine = self.one(parameters["InstanceId"])
        console = self._keeper.sandbox(machine.instance_id).console
        text = console.read_bytes()[-_CONSOLE_LIMIT:] if console.exists() else b""
        output = base64.b64encode(text).decode()
        return {"InstanceId": machine.instance_id, "Timestamp": now(), "Output": output}

    def one(self, instance_id: str) -> Machine:
        """An instance by its id; raises `AwsError` when there is none."""
        return self._named([instance_id])[0]

    def _named(self, instance_ids: list[str]) -> list[Machine]:
        for instance_id in instance_ids:
            if not _INSTANCE_ID.fullmatch(instance_id):
                raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        found = {instance_id: self._keeper.get(instance_id) for instance_id in instance_ids}
        missing = [instance_id for instance_id, machine in found.items() if machine is None]
        if len(missing) == 1:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{missing[0]}' does not exist")
        if missing:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(missing)}' do not exist")
        return [machine for machine in found.values() if machine is not None]

    def _wanted(self, parameters: Json) -> list[Machine]:
        instance_ids = parameters.get("InstanceIds")
        if not instance_ids:
            return self._keeper.all()
        if "MaxResults" in parameters:
            raise AwsError(
                "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults"
            )
        self._keeper.all()  # forgets those that EC2 no longer shows
        return self._named(instance_ids)

    def _change(
        self, parameters: Json, check: Callable[[Machine], None], change: Callable[[Machine], None]
    ) -> list[Json]:
        """Change all instances or, when one of them cannot be changed, none."""
        machines = self._named(parameters["InstanceIds"])
        for machine in machines:
            check(machine)
        changes: list[Json] = []
        for machine in machines:
            before = state_view(machine.state)
            change(machine)
            after = state_view(machine.state)
            changes.append({"InstanceId": machine.instance_id, "PreviousState": before, "CurrentState": after})
        return changes

    def _stop(self, machine: Machine) -> None:
        if machine.state not in (State.STOPPING, State.STOPPED):
            self._keeper.stop(machine)

    def _start(self, machine: Machine) -> None:
        if machine.state is State.STOPPED:
            self._keeper.start(machine)

    def _status(self, machine: Machine) -> Json:
        runs = machine.state is State.RUNNING
        lost = self._keeper.lost_at(machine.instance_id) is not None
        health = "not-applicable" if not runs else "impaired" if lost else "ok"
        reachability = {"ok": "passed", "impaired": "failed"}.get(health)
        summary: Json = {"Status": health}
        if reachability is not None:
            summary["Details"] = [{"Name": "reachability", "Status": reachability}]
        view: Json = {
            "AvailabilityZone": machine.zone,
            "InstanceId": machine.instance_id,
            "InstanceState": state_view(machine.state),
            "InstanceStatus": summary,
            "SystemStatus": summary,
        }
        return view


def _instance_filters(region: str) -> dict[str, Callable[[Machine], list[str]]]:
    return {
        "architecture": lambda machine: [machine.architecture],
        "availability-zone": lambda machine: [machine.zone],
        "client-token": lambda machine: [machine.client_token],
        "iam-instance-profile.arn": lambda machine: [machine.profile_arn] if machine.profile_arn else [],
        "image-id": lambda machine: [machine.image_id],
        "instance-id": lambda machine: [machine.instance_id],
        "instance-lifecycle": lambda machine: ["spot"] if machine.is_spot else [],
        "instance-state-code": lambda machine: [str(int(machine.state))],
        "instance-state-name": lambda machine: [machine.state.aws_name],
        "instance-type": lambda machine: [machine.instance_type],
        "private-dns-name": lambda machine: [private_dns_name(machine, region)],
        "private-ip-address": lambda machine: [machine.private_ip],
        "reservation-id": lambda machine: [machine.reservation_id],
        "spot-instance-request-id": lambda machine: [machine.spot_request_id] if machine.spot_request_id else [],
        "state-reason-code": lambda machine: [machine.state_reason.code] if machine.state_reason else [],
        "subnet-id": lambda machine: [machine.subnet_id],
        "vpc-id": lambda machine: [machine.vpc_id],
    }


def _tags(machine: Machine) -> dict[str, str]:
    return machine.tags


def _page(machines: list[Machine], parameters: Json) -> tuple[list[Machine], str | None]:
    limit = parameters.get("MaxResults")
    if limit is not None and not 5 <= limit <= 1000:
        raise AwsError(
            "InvalidParameterValue", f"Value ( {limit} ) for parameter maxResults is invalid. Expecting 5 to 1000."
        )
    return page(
        machines,
        lambda machine: f"{datetime.fromisoformat(machine.launched_at).timestamp():020.6f} {machine.instance_id}",
        limit=limit,
        token=parameters.get("NextToken"),
        invalid_token=AwsError("InvalidParameterValue", "Unable to parse pagination token"),
    )


def _check_can_stop(machine: Machine) -> None:
    if machine.is_spot:
        raise AwsError(
            "UnsupportedOperation",
            f"You can't stop the Spot Instance '{machine.instance_id}' because it is associated with a one-time Spot "
            "Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
        )
    if machine.is_ended or machine.state is State.PENDING:
        raise _incorrect_state(machine, "stopped")


def _check_can_start(machine: Machine) -> None:
    if machine.state not in (State.STOPPED, State.PENDING, State.RUNNING):
        raise _incorrect_state(machine, "started")


def _check_can_reboot(machine: Machine) -> None:
    if machine.state is not State.RUNNING:
        raise _incorrect_state(machine, "rebooted")


def _incorrect_state(machine: Machine, what: str) -> AwsError:
    return AwsError(
        "IncorrectInstanceState",
        f"The instance '{machine.instance_id}' is not in a state from which it can be {what}.",
    )
