"""Events of EC2 and SSM in AWS's shapes, handed on in order.

Shapes: Amazon EventBridge Events Reference (EC2 instance state change); EC2 User Guide, "Spot Instance interruption
notices" and "EC2 instance rebalance recommendations"; Systems Manager User Guide, "Reference: Amazon EventBridge event
patterns and types".
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import uuid4

from runctl.local.machines.clock import milliseconds_iso, now, seconds_iso
from runctl.local.machines.machine import Machine

PublishServiceEvent = Callable[[dict[str, object]], None]

_log = logging.getLogger(__name__)


class EventPublisher:
    """Publishes service events one after another, from a worker thread, so that publishing may block."""

    def __init__(self, publish: PublishServiceEvent, *, region: str, account_id: str) -> None:
        self._publish = publish
        self._region = region
        self._account_id = account_id
        self._turn = asyncio.Lock()
        self._deliveries: set[asyncio.Task[None]] = set()

    def state_changed(self, machine: Machine) -> None:
        """`EC2 Instance State-change Notification`."""
        detail = {"instance-id": machine.instance_id, "state": machine.state.aws_name}
        self._put("aws.ec2", "EC2 Instance State-change Notification", [self._arn(machine.instance_id)], detail)

    def spot_interruption_warned(self, machine: Machine) -> None:
        """`EC2 Spot Instance Interruption Warning`; its ARN names the zone and no account."""
        detail = {"instance-id": machine.instance_id, "instance-action": "terminate"}
        self._put("aws.ec2", "EC2 Spot Instance Interruption Warning", [_zonal_arn(machine)], detail)

    def rebalance_recommended(self, machine: Machine) -> None:
        """`EC2 Instance Rebalance Recommendation`."""
        detail = {"instance-id": machine.instance_id}
        self._put("aws.ec2", "EC2 Instance Rebalance Recommendation", [_zonal_arn(machine)], detail)

    def command_changed(
        self,
        *,
        command_id: str,
        document_name: str,
        parameters: Mapping[str, list[str]],
        instance_ids: list[str],
        requested_at: datetime,
        expires_at: datetime,
        status: str,
    ) -> None:
        """`EC2 Command Status-change Notification`; it carries the command's parameters."""
        detail: dict[str, object] = {
            "command-id": command_id,
            "document-name": document_name,
            "expire-after": milliseconds_iso(expires_at),
            "parameters": dict(parameters),
            "requested-date-time": milliseconds_iso(requested_at),
            "status": status,
        }
        resources = [self._arn(instance_id) for instance_id in instance_ids]
        self._put("aws.ssm", "EC2 Command Status-change Notification", resources, detail)

    def invocation_changed(
        self, *, command_id: str, document_name: str, instance_id: str, requested_at: datetime, status: str
    ) -> None:
        """`EC2 Command Invocation Status-change Notification`."""
        detail = {
            "command-id": command_id,
            "document-name": document_name,
            "instance-id": instance_id,
            "requested-date-time": milliseconds_iso(requested_at),
            "status": status,
        }
        self._put("aws.ssm", "EC2 Command Invocation Status-change Notification", [self._arn(instance_id)], detail)

    async def drain(self) -> None:
        """Wait until everything put so far was handed on."""
        while self._deliveries:
            await asyncio.wait(set(self._deliveries))

    def _arn(self, instance_id: str) -> str:
        return f"arn:aws:ec2:{self._region}:{self._account_id}:instance/{instance_id}"

    def _put(self, source: str, detail_type: str, resources: list[str], detail: Mapping[str, object]) -> None:
        event: dict[str, object] = {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": self._account_id,
            "time": seconds_iso(now()),
            "region": self._region,
            "resources": resources,
            "detail": dict(detail),
        }
        delivery = asyncio.create_task(self._deliver(event))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._delivered)

    async def _deliver(self, event: dict[str, object]) -> None:
        async with self._turn:
            await asyncio.to_thread(self._publish, event)

    def _delivered(self, delivery: asyncio.Task[None]) -> None:
        self._deliveries.discard(delivery)
        if not delivery.cancelled() and (error := delivery.exception()) is not None:
            _log.error("a service event was lost", exc_info=error)


def _zonal_arn(machine: Machine) -> str:
    return f"arn:aws:ec2:{machine.zone}:instance/{machine.instance_id}"
