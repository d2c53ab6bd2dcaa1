"""Objects for tests: valid as they come, and different where a test says so."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from runctl.model import keys
from runctl.model.agent_event import AgentEventKind, EndedWhy, TrainingEnded, sign
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.base import iso
from runctl.model.checkpoint import CheckpointFile, Manifest
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.run import CodeRef, PurchaseOption, Run, RunSpec, StopRequest
from runctl.model.status import Reason
from tests.fakes.clock import START
from tests.fakes.services import ROLE_ID

RUN_ID = RunId("r-1hqz5yk7abcd")
INSTANCE = InstanceId("i-0123456789abcdef0")
SECRET = "5e" * 32
SHA256 = "0f" * 32


def after(seconds: float) -> datetime:
    """Tell the time this many seconds after START."""
    return START + timedelta(seconds=seconds)


def make_spec(**fields: Any) -> RunSpec:
    """A spot run of train.py on one small type."""
    defaults: dict[str, Any] = {
        "script": "train.py",
        "code": CodeRef(key=keys.code_key(SHA256), sha256=SHA256, bytes=1_234),
        "instance_types": ("t3.micro",),
        "purchase_option": PurchaseOption.SPOT,
    }
    return RunSpec(**(defaults | fields))


def make_run(run_id: RunId = RUN_ID, **fields: Any) -> Run:
    """A run that was just submitted; fields of the spec are given as `spec=make_spec(…)`."""
    defaults: dict[str, Any] = {
        "name": "digits",
        "project": "vision",
        "user": "ada",
        "spec": make_spec(),
        "created_at": START,
        "updated_at": START,
    }
    return Run(run_id=run_id, **(defaults | fields))


def make_attempt(number: int = 1, **fields: Any) -> Attempt:
    """An attempt with a running spot machine and no facts."""
    defaults: dict[str, Any] = {
        "run_id": RUN_ID,
        "created_at": START,
        "secret": SECRET,
        "instance_id": INSTANCE,
        "instance_type": "t3.micro",
        "availability_zone": "us-east-1a",
        "purchase_option": PurchaseOption.SPOT,
        "price_usd_per_hour": Decimal("0.04"),
        "on_demand_usd_per_hour": Decimal("0.10"),
        "launched_at": START,
    }
    return Attempt(number=AttemptNumber(number), **(defaults | fields))


def with_facts(attempt: Attempt, *kinds: FactKind, **data: dict[str, Any]) -> Attempt:
    """The attempt with facts, a minute apart in the order given; `data` by the fact's value, e.g. `gone={…}`."""
    facts = {kind: Fact(at=after(60 * (n + 1)), data=data.get(kind.value, {})) for n, kind in enumerate(kinds)}
    return attempt.model_copy(update={"facts": {**attempt.facts, **facts}})


def make_end(why: EndedWhy = EndedWhy.EXITED, exit_code: int | None = 0, **fields: Any) -> dict[str, Any]:
    """The data of `Training Ended`, as JSON."""
    return TrainingEnded(why=why, exit_code=exit_code, ended_at=after(600), **fields).model_dump(mode="json")


def make_stop_request(reason: Reason = Reason.CANCELLED, **fields: Any) -> StopRequest:
    """A request to stop, by ada."""
    return StopRequest(reason=reason, requested_by="ada", requested_at=after(30), **fields)


def make_detail(
    attempt: Attempt, kind: AgentEventKind, data: dict[str, Any] | None = None, *, at: datetime, secret: str = ""
) -> dict[str, Any]:
    """The detail of an agent's event, signed with the attempt's secret or another."""
    detail: dict[str, Any] = {
        "version": 1,
        "run_id": attempt.run_id,
        "attempt": attempt.number,
        "instance_id": attempt.instance_id,
        "kind": kind.value,
        "time": iso(at),
        "data": data or {},
    }
    return {**detail, "signature": sign(detail, secret or attempt.secret)}


def make_manifest(number: int = 1, step: int | None = 100, *, at: datetime | None = None, **fields: Any) -> Manifest:
    """A complete checkpoint of one file."""
    name = fields.pop("name", f"step-{step}.npz" if step is not None else "last.npz")
    instance_id = fields.pop("instance_id", INSTANCE)
    prefix = keys.attempt_prefix(fields.get("run_id", RUN_ID), AttemptNumber(number), ROLE_ID, instance_id)
    file = CheckpointFile(path=name, key=f"{prefix}checkpoints/{name}/files/{name}", bytes=64, sha256=SHA256)
    defaults: dict[str, Any] = {"run_id": RUN_ID, "saved_at": at or after(step or 0)}
    return Manifest(attempt=AttemptNumber(number), name=name, step=step, files=(file,), **(defaults | fields))
