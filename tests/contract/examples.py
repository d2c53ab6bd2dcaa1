"""Runs, attempts and events that the contract suites write and read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from runctl.controller.ports import RunStore
from runctl.model.attempt import Attempt, LaunchTry
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.price import PriceStep, Settlement, Spending
from runctl.model.run import CheckpointRef, CodeRef, Progress, PurchaseOption, Run, RunSpec, StopRequest
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineEvent, TimelineKind

START = datetime(2026, 3, 1, 9, 30, 0, 123_000, tzinfo=UTC)
RUN_ID = RunId("r-1hqz5yk7abcd")
OTHER_RUN_ID = RunId("r-1hqz5yk8abcd")
FIRST = AttemptNumber(1)
INSTANCE = InstanceId("i-0123456789abcdef0")
SHA256 = "0f" * 32


def after(seconds: float) -> datetime:
    """Tell the time this many seconds after START."""
    return START + timedelta(seconds=seconds)


def a_run(run_id: RunId = RUN_ID, **fields: Any) -> Run:
    """Make a pending run; `fields` override."""
    defaults: dict[str, Any] = {
        "name": "digits",
        "project": "vision",
        "user": "ada",
        "spec": RunSpec(
            script="train.py",
            args=("--epochs", "3"),
            code=CodeRef(key=f"code/{SHA256}.json.gz", sha256=SHA256, bytes=1_234),
            instance_types=("g5.xlarge", "g6.xlarge"),
            purchase_option=PurchaseOption.SPOT,
            environment={"SEED": "7"},
            max_cost_usd=Decimal("12.50"),
        ),
        "created_at": START,
        "updated_at": START,
    }
    return Run(run_id=run_id, **(defaults | fields))


def an_attempt(run_id: RunId = RUN_ID, number: int = 1, **fields: Any) -> Attempt:
    """Make an attempt that has just begun; `fields` override."""
    defaults: dict[str, Any] = {"created_at": START, "secret": "5e" * 16}
    return Attempt(run_id=run_id, number=AttemptNumber(number), **(defaults | fields))


def a_launch_try() -> LaunchTry:
    """Make a launch try whose request holds each kind of JSON value."""
    return LaunchTry(
        number=1,
        client_token="c0ffee",
        request={
            "Type": "instant",
            "TargetCapacitySpecification": {"TotalTargetCapacity": 1},
            "LaunchTemplateConfigs": [{"Overrides": [{"InstanceType": "g5.xlarge", "Priority": 0.5}]}],
            "TerminateInstancesWithExpiration": False,
            "Context": None,
        },
        errors=({"code": "InsufficientInstanceCapacity", "message": "none left"},),
    )


def an_event(
    event_id: str = "launched-1", seconds: float = 0, *, run_id: RunId = RUN_ID, **fields: Any
) -> TimelineEvent:
    """Make a timeline event `seconds` after START; `fields` override."""
    defaults: dict[str, Any] = {"kind": TimelineKind.LAUNCHED, "text": "A machine was launched."}
    return TimelineEvent(run_id=run_id, event_id=event_id, at=after(seconds), **(defaults | fields))


def a_stop_request(*, now: bool = False, reason: Reason = Reason.CANCELLED, by: str = "ada") -> StopRequest:
    """Make a request to stop."""
    return StopRequest(reason=reason, requested_by=by, requested_at=after(60), now=now)


def a_checkpoint(seconds: float = 30, *, attempt: int = 1) -> CheckpointRef:
    """Make a checkpoint that was saved `seconds` after START."""
    name = f"step-{int(seconds)}.npz"
    return CheckpointRef(
        name=name,
        step=int(seconds),
        manifest_key=f"runs/{RUN_ID}/attempts/000{attempt}/AROAEXAMPLE:{INSTANCE}/checkpoints/{name}/manifest.json",
        bytes=4_096,
        saved_at=after(seconds),
        attempt=AttemptNumber(attempt),
    )


def some_progress(seconds: float = 30, *, loss: float | None = 0.25) -> Progress:
    """Make figures that were reported `seconds` after START."""
    return Progress(at=after(seconds), step=int(seconds), total_steps=600, loss=loss, throughput=1_203.75)


def begin(store: RunStore, **attempt_fields: object) -> Run:
    """Write a run and its first attempt."""
    run = a_run()
    store.create_run(run)
    current = run.model_copy(update={"attempt": FIRST, "status": RunStatus.PROVISIONING})
    return store.begin_attempt(current, an_attempt(**attempt_fields))


def a_settlement(usd: str = "1.25") -> Settlement:
    return Settlement(
        at=after(900),
        charged_from=START,
        charged_until=after(600),
        is_free=False,
        steps=(PriceStep(since=START, usd_per_hour=Decimal("7.5")),),
        usd=Decimal(usd),
        on_demand_usd=Decimal(3),
        recomputed_usd=Decimal("0.5"),
    )


def a_spending(usd: str = "1.25") -> Spending:
    return Spending(
        run_id=RUN_ID,
        name="digits",
        attempt=1,
        project="vision",
        user="ada",
        machine=INSTANCE,
        instance_type="g5.xlarge",
        availability_zone="us-east-1a",
        purchase_option="spot",
        launched_at=START,
        ended_at=after(600),
        usd=Decimal(usd),
        on_demand_usd=Decimal(3),
        recomputed_usd=Decimal("0.5"),
    )
