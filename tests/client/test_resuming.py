"""Resuming an ended run: what is refused, what the new run takes over, which checkpoint it goes on from."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runctl.client.client import Client, prepare
from runctl.client.resuming import SyncedProject, project_spec
from runctl.errors import BudgetExceeded, InvalidSpec, NotFoundError
from runctl.model.budget import BudgetPeriod
from runctl.model.decision import ExecutionInput
from runctl.model.ids import InstanceId
from runctl.model.run import PurchaseOption, ResumedFrom, Run
from runctl.model.status import Reason, RunStatus
from runctl.policy.budget_limits import default_max_cost
from runctl.policy.resume import manifest_key
from tests.client.deployment import MemoryDeployment, a_run, an_attempt, with_code

EARLIER = "r-1hx3k7pabcde"
LATER = "r-2hx3k7pabcde"


@pytest.fixture
def deployment() -> MemoryDeployment:
    """An empty deployment."""
    return MemoryDeployment()


@pytest.fixture
def client(deployment: MemoryDeployment) -> Client:
    """Its client."""
    return deployment.client()


def _ended(deployment: MemoryDeployment, run_id: str = EARLIER, *steps: int, **fields: Any) -> Run:
    """Put an ended run with its code and these checkpoints into the deployment."""
    run = a_run(run_id, **({"status": RunStatus.CANCELLED, "reason": Reason.CANCELLED} | fields))
    run = with_code(run, deployment.code.keep({"train.py": b"print(1)"}))
    attempt = an_attempt(run_id)
    deployment.add(run, attempt)
    for step in steps:
        deployment.results.save(attempt, f"step-{step}.npz", step, {f"step-{step}.npz": b"weights"})
    return run


def test_the_new_run_has_the_ended_ones_code_and_settings_and_its_newest_checkpoint(
    deployment: MemoryDeployment, client: Client
) -> None:
    earlier = _ended(deployment, EARLIER, 100, 200)

    run = client.resume(client.plan_resume(earlier))

    newest = deployment.results.saved[-1]
    assert run.run_id != earlier.run_id
    assert run.spec == earlier.spec.model_copy(update={"max_cost_usd": run.spec.max_cost_usd})
    assert run.spec.max_cost_usd == default_max_cost(run.estimated_usd)
    assert (run.name, run.project) == (earlier.name, earlier.project)
    assert run.resumed_from == ResumedFrom(
        run_id=earlier.run_id, checkpoint=manifest_key(newest), name="step-200.npz", step=200
    )
    assert deployment.executions.started[run.run_id] == ExecutionInput.of(run)
    assert f"ada resumed {EARLIER} with train.py" in client.events(run.run_id)[0].text
    assert deployment.code.written == []
    assert deployment.runs.runs[EARLIER] == earlier


def test_what_is_given_replaces_what_the_ended_run_asked_for(deployment: MemoryDeployment, client: Client) -> None:
    earlier = _ended(deployment, EARLIER, 100)
    changes = {
        "args": ("--epochs", "9"),
        "max_cost_usd": Decimal(3),
        "instance_types": ("g5.xlarge",),
        "purchase_option": PurchaseOption.SPOT,
        "max_runtime_s": 3_600,
    }

    run = client.resume(client.plan_resume(earlier, changes))

    assert {name: getattr(run.spec, name) for name in changes} == changes
    assert run.spec.script == earlier.spec.script


def test_a_checkpoint_can_be_chosen(deployment: MemoryDeployment, client: Client) -> None:
    earlier = _ended(deployment, EARLIER, 100, 200)

    assert client.plan_resume(earlier, checkpoint="step-100.npz").resumed_from.step == 100


def test_a_checkpoint_that_is_not_there_is_named_with_the_near_ones(
    deployment: MemoryDeployment, client: Client
) -> None:
    earlier = _ended(deployment, EARLIER, 100)

    with pytest.raises(NotFoundError) as refused:
        client.plan_resume(earlier, checkpoint="step-101.npz")

    assert "step-100.npz" in refused.value.hint


@pytest.mark.parametrize("status", [status for status in RunStatus if not status.is_terminal])
def test_an_open_run_is_not_resumed(deployment: MemoryDeployment, client: Client, status: RunStatus) -> None:
    earlier = _ended(deployment, EARLIER, 100, status=status, reason=None)

    with pytest.raises(InvalidSpec, match="has not ended") as refused:
        client.plan_resume(earlier)

    assert refused.value.hint == f"Let it save and end first: runctl cancel {EARLIER}"


def test_a_run_that_succeeded_is_resumed_by_force_alone(deployment: MemoryDeployment, client: Client) -> None:
    earlier = _ended(deployment, EARLIER, 100, status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)

    with pytest.raises(InvalidSpec, match="has succeeded"):
        client.plan_resume(earlier)

    assert client.plan_resume(earlier, force=True).resumed_from.step == 100


def test_a_run_that_saved_nothing_is_not_resumed(deployment: MemoryDeployment, client: Client) -> None:
    earlier = _ended(deployment)

    with pytest.raises(InvalidSpec, match="no complete checkpoint") as refused:
        client.plan_resume(earlier)

    assert refused.value.exit_code == 2
    assert "runctl train train.py" in refused.value.hint


def test_what_another_machine_left_below_a_run_is_none_of_its_checkpoints(
    deployment: MemoryDeployment, client: Client
) -> None:
    earlier = _ended(deployment)
    stranger = an_attempt(EARLIER, instance_id=InstanceId("i-0fedcba9876543210"))
    deployment.results.save(stranger, "step-900.npz", 900, {"step-900.npz": b"planted"})

    assert client.checkpoints(earlier.run_id) == ()
    with pytest.raises(InvalidSpec, match="no complete checkpoint"):
        client.plan_resume(earlier)


def test_a_resumed_run_that_saved_nothing_hands_its_own_beginning_on(
    deployment: MemoryDeployment, client: Client
) -> None:
    first = client.plan_resume(_ended(deployment, EARLIER, 100)).resumed_from
    later = _ended(deployment, LATER, resumed_from=first)

    point = client.plan_resume(later).resumed_from
    run = client.resume(client.plan_resume(later))

    assert point == first.model_copy(update={"run_id": LATER})
    assert [since.run_id for since in client.chain(run)] == [LATER, EARLIER]


def test_code_that_is_gone_is_told_before_anything_is_made(deployment: MemoryDeployment, client: Client) -> None:
    earlier = _ended(deployment, EARLIER, 100)
    deployment.code.objects.clear()

    with pytest.raises(InvalidSpec, match="not in the bucket") as refused:
        client.resume(client.plan_resume(earlier))

    assert "--sync-code" in refused.value.hint
    assert (len(deployment.runs.runs), len(deployment.executions.started)) == (1, 0)


def test_the_project_can_be_sent_again(deployment: MemoryDeployment, client: Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('mended')\n")
    earlier = _ended(deployment, EARLIER, 100, status=RunStatus.FAILED, reason=Reason.USER_ERROR)
    plan = client.plan_resume(earlier)

    run = client.resume(plan, prepare(project_spec(plan.request, SyncedProject(tmp_path))))

    assert run.spec.code != earlier.spec.code
    assert deployment.code.project(run.spec.code) == {"train.py": b"print('mended')\n"}


def test_changes_that_make_no_sense_are_refused_with_a_sentence(deployment: MemoryDeployment, client: Client) -> None:
    earlier = _ended(deployment, EARLIER, 100)

    with pytest.raises(InvalidSpec, match="cannot be resumed: max_runtime_s"):
        client.plan_resume(earlier, {"max_runtime_s": 1})


def test_an_unknown_type_is_refused(deployment: MemoryDeployment, client: Client) -> None:
    with pytest.raises(InvalidSpec, match=r"no instance type t3\.mikro"):
        client.plan_resume(_ended(deployment, EARLIER, 100), {"instance_types": ("t3.mikro",)})


def test_a_budget_without_room_refuses_to_resume_before_anything_is_made(
    deployment: MemoryDeployment, client: Client
) -> None:
    plan = client.plan_resume(_ended(deployment, EARLIER, 100), {"max_cost_usd": Decimal(2)})
    client.budgets.set(client.budgets.scope("project"), BudgetPeriod.DAY, Decimal(1))

    with pytest.raises(BudgetExceeded, match=r"no room for \$2"):
        client.resume(plan)

    assert deployment.executions.started == {}
