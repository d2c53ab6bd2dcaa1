"""The faults, and a look at the machines: `/_runctl/…`, JSON in and out, which no AWS has."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runctl.local.machines.capacity import MissingCapacity, PoolPattern
from runctl.local.machines.clock import now
from runctl.local.machines.interruptions import Interruptions
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import Machine, State
from runctl.local.machines.ssm.agents import Agents
from runctl.local.machines.wire.asgi import Request, Response
from runctl.local.machines.wire.errors import AwsError

Json = dict[str, Any]
Seconds = Annotated[float, Field(ge=0, le=30 * 24 * 3600, allow_inf_nan=False)]

PREFIX = "/_runctl/"
NOTICE_S = 120.0
"""The notice that EC2 gives (EC2 User Guide, Spot Instance interruption notices)."""


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Interrupt(_Fault):
    instance_id: str
    notice_s: Seconds = NOTICE_S


class _Rebalance(_Fault):
    instance_id: str


class _Kill(_Fault):
    instance_id: str
    silent: bool = False


class _NoCapacity(_Fault):
    pools: Annotated[list[str], Field(min_length=1)]
    for_s: Seconds | None = None
    """None: until it is taken back with 0."""


FaultT = TypeVar("FaultT", bound=_Fault)


class FaultRefused(Exception):
    """The fault makes no sense now."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class FaultCalls:
    """Answers `/_runctl/…`."""

    def __init__(
        self,
        keeper: MachineKeeper,
        agents: Agents,
        interruptions: Interruptions,
        missing_capacity: MissingCapacity,
    ) -> None:
        self._keeper = keeper
        self._agents = agents
        self._interruptions = interruptions
        self._missing_capacity = missing_capacity
        self._faults: dict[str, Callable[[bytes], Json]] = {
            "interrupt": self._interrupt,
            "rebalance": self._rebalance,
            "kill": self._kill,
            "no-capacity": self._no_capacity,
        }

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        name = request.path.removeprefix(PREFIX)
        if name == "machines" and request.method == "GET":
            return Response.json({"machines": [self._view(machine) for machine in self._keeper.all()]})
        fault = self._faults.get(name)
        if fault is None or request.method != "POST":
            return _refusal(f"There is no {request.method} {request.path}.", 404)
        try:
            return Response.json(fault(request.body))
        except ValidationError as error:
            first = error.errors()[0]
            return _refusal(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}", 400)
        except FaultRefused as error:
            return _refusal(str(error), error.status)

    def _interrupt(self, body: bytes) -> Json:
        fault = _Interrupt.model_validate_json(body)
        machine = self._spot(fault.instance_id)
        if machine.interrupted_at is not None:
            raise FaultRefused(f"{machine.instance_id} is being interrupted already, at {machine.interrupted_at}.")
        self._interruptions.warn(machine, fault.notice_s)
        return {"instance_id": machine.instance_id, "interrupted_at": machine.interrupted_at}

    def _rebalance(self, body: bytes) -> Json:
        machine = self._spot(_Rebalance.model_validate_json(body).instance_id)
        self._interruptions.recommend_rebalance(machine)
        return {"instance_id": machine.instance_id, "rebalance_at": machine.rebalance_at}

    def _kill(self, body: bytes) -> Json:
        fault = _Kill.model_validate_json(body)
        machine = self._living(fault.instance_id)
        self._keeper.kill(machine, silent=fault.silent)
        return {"instance_id": machine.instance_id, "state": machine.state.aws_name}

    def _no_capacity(self, body: bytes) -> Json:
        fault = _NoCapacity.model_validate_json(body)
        try:
            patterns = [PoolPattern.parse(text) for text in fault.pools]
        except AwsError as error:
            raise FaultRefused(error.message) from error
        self._missing_capacity.empty(patterns, now(), fault.for_s)
        return {"pools": fault.pools, "for_s": fault.for_s}

    def _living(self, instance_id: str) -> Machine:
        machine = self._keeper.get(instance_id)
        if machine is None:
            raise FaultRefused(f"There is no machine {instance_id}.", 404)
        if machine.state not in (State.PENDING, State.RUNNING):
            raise FaultRefused(f"{instance_id} is {machine.state.aws_name}.")
        return machine

    def _spot(self, instance_id: str) -> Machine:
        machine = self._living(instance_id)
        if not machine.is_spot:
            raise FaultRefused(f"{instance_id} is an on-demand machine, which EC2 does not interrupt.")
        return machine

    def _view(self, machine: Machine) -> Json:
        sandbox = self._keeper.sandbox(machine.instance_id)
        lost_at = self._keeper.lost_at(machine.instance_id)
        return {
            "instance_id": machine.instance_id,
            "state": machine.state.aws_name,
            "state_reason": machine.state_reason.code if machine.state_reason else None,
            "instance_type": machine.instance_type,
            "availability_zone": machine.zone,
            "purchase_option": machine.lifecycle,
            "launched_at": machine.launched_at,
            "is_online": self._agents.is_reachable(machine),
            "interrupted_at": machine.interrupted_at,
            "rebalance_at": machine.rebalance_at,
            "lost_at": lost_at.isoformat() if lost_at is not None else None,
            "pid": self._keeper.pid(machine.instance_id),
            "tags": machine.tags,
            "directory": str(sandbox.directory),
            "console": str(sandbox.console),
        }


def _refusal(message: str, status: int) -> Response:
    code = "not_found" if status == 404 else "fault_refused"
    return Response.json({"code": code, "message": message}, status)
