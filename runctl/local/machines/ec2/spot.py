"""Spot requests as EC2 shows them: each spot machine has one, made by its fleet."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from runctl.local.machines.catalogue import Catalogue
from runctl.local.machines.ec2.filters import matching
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import SPOT_FULFILLED, Machine, SpotStatus
from runctl.local.machines.wire.errors import AwsError
from runctl.local.machines.wire.pages import page

Json = dict[str, Any]


class SpotRequests:
    """DescribeSpotInstanceRequests."""

    def __init__(self, keeper: MachineKeeper, catalogue: Catalogue) -> None:
        self._keeper = keeper
        self._catalogue = catalogue

    async def describe(self, parameters: Json) -> Json:
        """DescribeSpotInstanceRequests."""
        machines = [machine for machine in self._keeper.all() if machine.spot_request_id is not None]
        if wanted := parameters.get("SpotInstanceRequestIds"):
            known = {machine.spot_request_id for machine in machines}
            for request_id in wanted:
                if request_id not in known:
                    raise AwsError(
                        "InvalidSpotInstanceRequestID.NotFound",
                        f"The spot instance request ID '{request_id}' does not exist",
                    )
            machines = [machine for machine in machines if machine.spot_request_id in wanted]
        shown, next_token = page(
            matching(machines, parameters.get("Filters"), _FILTERS),
            lambda machine: cast("str", machine.spot_request_id),
            limit=parameters.get("MaxResults"),
            token=parameters.get("NextToken"),
            invalid_token=AwsError("InvalidParameterValue", "Unable to parse pagination token"),
        )
        return {"SpotInstanceRequests": [self._view(machine) for machine in shown], "NextToken": next_token}

    def _view(self, machine: Machine) -> Json:
        status = cast("SpotStatus", machine.spot_status)
        launched_at = datetime.fromisoformat(machine.launched_at)
        on_demand = self._catalogue.on_demand_usd_per_hour(machine.instance_type)
        return {
            "CreateTime": launched_at,
            "InstanceId": machine.instance_id,
            "InstanceInterruptionBehavior": "terminate",
            "LaunchedAvailabilityZone": machine.zone,
            "LaunchSpecification": {
                "ImageId": machine.image_id,
                "InstanceType": machine.instance_type,
                "Placement": {"AvailabilityZone": machine.zone, "Tenancy": "default"},
                "SubnetId": machine.subnet_id,
            },
            "ProductDescription": "Linux/UNIX",
            "SpotInstanceRequestId": machine.spot_request_id,
            "SpotPrice": machine.spot_max_price or f"{on_demand:f}",
            "State": _state(machine),
            "Status": {
                "Code": status.code,
                "Message": status.message,
                "UpdateTime": datetime.fromisoformat(status.updated_at),
            },
            "Type": "one-time",
        }


def _state(machine: Machine) -> str:
    """A one-time request is closed once its machine is interrupted or ended."""
    return "active" if machine.spot_status is not None and machine.spot_status.code == SPOT_FULFILLED else "closed"


_FILTERS: dict[str, Callable[[Machine], list[str]]] = {
    "instance-id": lambda machine: [machine.instance_id],
    "launched-availability-zone": lambda machine: [machine.zone],
    "launch.instance-type": lambda machine: [machine.instance_type],
    "spot-instance-request-id": lambda machine: [machine.spot_request_id or ""],
    "state": lambda machine: [_state(machine)],
    "status-code": lambda machine: [machine.spot_status.code] if machine.spot_status is not None else [],
    "type": lambda _: ["one-time"],
}
