"""The client: what submitting makes and in which order, how runs are found, waited for and ended."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from runctl.client.client import Client
from runctl.client.naming import memorable_name
from runctl.client.spec import RunSpec
from runctl.errors import AwsUnavailable, InvalidSpec, NotFoundError, PermissionDenied
from runctl.model.decision import ExecutionInput
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.run import PurchaseOption
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.client.deployment import NOW, MemoryDeployment, a_run


@pytest.fixture
def deployment() -> MemoryDeployment:
    """An empty deployment."""
    return MemoryDeployment()


@pytest.fixture
def client(deployment: MemoryDeployment) -> Client:
    """Its client."""
    return deployment.client()


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    """A training in a project."""
    (tmp_path / "train.py").write_text("print(1)\n")
    return RunSpec(script="train.py", instance_types=("t3.micro",), project_dir=tmp_path)


# -- submitting ----------------------------------------------------------------------------------------------------


def test_train_uploads_writes_the_run_and_starts_its_execution(
    deployment: MemoryDeployment, client: Client, spec: RunSpec
) -> None:
    run = client.train(spec).run

    assert deployment.code.project(run.spec.code) == {"train.py": b"print(1)\n"}
    assert deployment.runs.runs[run.run_id] == run
    assert (run.status, run.user, run.project) == (RunStatus.PENDING, "ada", "vision")
    assert run.name == memorable_name(run.run_id)
    assert [event.kind for event in client.events(run.run_id)] == [TimelineKind.SUBMITTED]
    assert deployment.executions.started[run.run_id] == ExecutionInput.of(run)
    assert run.execution_arn == f"arn:aws:states:us-east-1:123456789012:execution:runctl:{run.run_id}"


def test_unchanged_project_is_not_sent_again(deployment: MemoryDeployment, client: Client, spec: RunSpec) -> None:
    client.train(spec)
    written = len(deployment.code.written)
    client.train(spec)

    assert len(deployment.code.written) == written
    assert len(deployment.executions.started) == 2


def test_unknown_type_is_refused_before_anything_is_made(
    deployment: MemoryDeployment, client: Client, spec: RunSpec
) -> None:
    wrong = spec.model_copy(update={"instance_types": ("t3.micro", "t3.mikro")})

    with pytest.raises(InvalidSpec, match=r"no instance type t3\.mikro in us-east-1"):
        client.train(wrong)

    assert deployment.made == 0


def test_types_of_two_architectures_are_refused(deployment: MemoryDeployment, client: Client, spec: RunSpec) -> None:
    mixed = spec.model_copy(update={"instance_types": ("t3.micro", "m7g.large")})

    with pytest.raises(InvalidSpec, match="arm64 and x86_64"):
        client.train(mixed)

    assert deployment.made == 0


def test_refused_start_leaves_no_run_that_seems_to_begin(
    deployment: MemoryDeployment, client: Client, spec: RunSpec
) -> None:
    deployment.executions.refusal = PermissionDenied("states:StartExecution is not allowed")

    with pytest.raises(PermissionDenied):
        client.train(spec)

    (run,) = deployment.runs.runs.values()
    assert (run.status, run.reason) == (RunStatus.FAILED, Reason.PERMISSION)
    assert "StartExecution" in run.message
    assert [event.kind for event in client.events(run.run_id)][-1] is TimelineKind.CONCLUDED


def test_a_start_of_which_only_the_answer_was_lost_is_a_start(
    deployment: MemoryDeployment, client: Client, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin_and_lose_the_answer(run_id: RunId, _: object) -> str:
        stored = deployment.runs.runs[run_id]
        deployment.runs.save_run(stored.model_copy(update={"status": RunStatus.PROVISIONING}))
        raise AwsUnavailable("The connection was closed before an answer came.")

    monkeypatch.setattr(deployment.executions, "start", begin_and_lose_the_answer)

    run = client.train(spec).run

    assert deployment.runs.runs[run.run_id].status is RunStatus.PROVISIONING


def test_death_before_the_start_leaves_an_open_run_for_the_reaper(
    deployment: MemoryDeployment, client: Client, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(deployment.executions, "start", die)

    with pytest.raises(KeyboardInterrupt):
        client.train(spec)

    (run,) = deployment.runs.runs.values()
    assert run.status is RunStatus.PENDING


@pytest.mark.parametrize(
    ("types", "option", "hours", "limit", "total"),
    [
        (("t3.micro",), PurchaseOption.ON_DEMAND, 10, None, "0.2636"),
        (("t3.micro", "g5.xlarge"), PurchaseOption.ON_DEMAND, 10, None, "10.2196"),
        (("g5.xlarge",), PurchaseOption.SPOT, 10, None, "3.1776"),
        (("g5.xlarge",), PurchaseOption.ON_DEMAND, 10, "4", "4"),
        (("x9.huge",), PurchaseOption.ON_DEMAND, 10, None, None),
        (("t3.micro", "x9.huge"), PurchaseOption.ON_DEMAND, 10, None, None),
        (("x9.huge",), PurchaseOption.ON_DEMAND, 10, "4", "4"),
    ],
)
def test_estimate_is_the_dearest_type_for_the_whole_time_with_its_disk_and_address(
    client: Client,
    spec: RunSpec,
    types: tuple[str, ...],
    option: PurchaseOption,
    hours: int,
    limit: str | None,
    total: str | None,
) -> None:
    asked = spec.model_copy(
        update={
            "instance_types": types,
            "purchase_option": option,
            "max_runtime_s": hours * 3_600,
            "max_cost_usd": None if limit is None else Decimal(limit),
        }
    )

    run = client.train(asked).run

    assert run.estimated_usd == (None if total is None else Decimal(total))


def test_larger_disk_costs_more(client: Client, spec: RunSpec) -> None:
    hour = {"max_runtime_s": 3_600, "purchase_option": PurchaseOption.ON_DEMAND}

    usual = client.train(spec.model_copy(update=hour)).run
    large = client.train(spec.model_copy(update={**hour, "disk_gib": 830})).run

    assert usual.estimated_usd is not None
    assert large.estimated_usd == usual.estimated_usd + Decimal("0.08")


# -- finding -------------------------------------------------------------------------------------------------------


def test_last_is_the_projects_newest_run(deployment: MemoryDeployment, client: Client) -> None:
    deployment.add(a_run("r-1hx3k7paaaaa", created_at=NOW - timedelta(hours=2)))
    newest = deployment.add(a_run("r-1hx3k7pbbbbb", created_at=NOW - timedelta(hours=1)))
    deployment.add(a_run("r-1hx3k7pccccc", created_at=NOW, project="other"))

    assert client.run("last") == newest


@pytest.mark.parametrize("beginning", ["r-1hx3k7pb", "1hx3k7pb"])
def test_unambiguous_beginning_of_an_id_is_enough(deployment: MemoryDeployment, client: Client, beginning: str) -> None:
    deployment.add(a_run("r-1hx3k7paaaaa"))
    meant = deployment.add(a_run("r-1hx3k7pbbbbb"))

    assert client.run(beginning) == meant


def test_ambiguous_beginning_names_the_runs_that_it_may_mean(deployment: MemoryDeployment, client: Client) -> None:
    deployment.add(a_run("r-1hx3k7paaaaa"))
    deployment.add(a_run("r-1hx3k7pbbbbb"))

    with pytest.raises(NotFoundError, match="r-1hx3k7paaaaa"):
        client.run("r-1hx3k7p")


def test_whole_id_is_found_in_any_project(deployment: MemoryDeployment, client: Client) -> None:
    other = deployment.add(a_run("r-1hx3k7pccccc", project="other"))

    assert client.run("r-1hx3k7pccccc") == other


def test_unknown_id_suggests_the_near_one(deployment: MemoryDeployment, client: Client) -> None:
    deployment.add(a_run("r-1hx3k7paaaaa"))

    with pytest.raises(NotFoundError) as refusal:
        client.run("r-1hx3k7paaaab")

    assert "r-1hx3k7paaaaa" in refusal.value.hint


# -- waiting -------------------------------------------------------------------------------------------------------


def test_wait_tells_each_change_and_ends_with_the_run(deployment: MemoryDeployment, client: Client) -> None:
    begun = a_run(status=RunStatus.PROVISIONING, version=1)
    ended = a_run(status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED, version=3)
    deployment.add(begun)
    deployment.runs.script = [begun, begun, a_run(version=2), ended]
    seen: list[RunStatus] = []

    result = client.wait(begun.run_id, lambda run: seen.append(run.status))

    assert result == ended
    assert seen == [RunStatus.PROVISIONING, RunStatus.RUNNING, RunStatus.SUCCEEDED]
    assert len(deployment.slept_s) == 3
    assert max(deployment.slept_s) <= 1.0


def test_wait_goes_on_through_a_disturbance_of_aws(deployment: MemoryDeployment, client: Client) -> None:
    ended = a_run(status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)
    deployment.runs.script = [AwsUnavailable("no answer"), AwsUnavailable("no answer"), ended]

    assert client.wait(ended.run_id) == ended


def test_wait_gives_up_when_aws_stays_silent(deployment: MemoryDeployment, client: Client) -> None:
    deployment.runs.script = [AwsUnavailable("no answer")] * 2_000

    with pytest.raises(AwsUnavailable):
        client.wait(RunId("r-1hx3k7paaaaa"))

    assert 290 <= sum(deployment.slept_s) <= 310


def test_wait_does_not_repeat_what_is_refused(deployment: MemoryDeployment, client: Client) -> None:
    deployment.runs.script = [PermissionDenied("dynamodb:GetItem is not allowed")]

    with pytest.raises(PermissionDenied):
        client.wait(RunId("r-1hx3k7paaaaa"))

    assert deployment.slept_s == []


# -- the log -------------------------------------------------------------------------------------------------------


def _texts(client: Client, run_id: RunId, **options: object) -> list[tuple[int, str]]:
    return [(entry.attempt, entry.line.text) for entry in client.logs(run_id, **options)]  # type: ignore[arg-type]


def test_log_goes_through_all_attempts(deployment: MemoryDeployment, client: Client) -> None:
    run = deployment.add(a_run(attempt=AttemptNumber(2)))
    deployment.logs.streams = {f"{run.run_id}/0001": ["a", "b"], f"{run.run_id}/0002": ["c"]}

    assert _texts(client, run.run_id) == [(1, "a"), (1, "b"), (2, "c")]
    assert _texts(client, run.run_id, attempt=AttemptNumber(2)) == [(2, "c")]


def test_log_of_an_attempt_that_is_not_there_is_refused(deployment: MemoryDeployment, client: Client) -> None:
    run = deployment.add(a_run())

    with pytest.raises(NotFoundError, match="no attempt 4"):
        _texts(client, run.run_id, attempt=AttemptNumber(4))


def test_followed_log_goes_over_to_the_next_attempt_and_ends_with_the_run(
    deployment: MemoryDeployment, client: Client
) -> None:
    run = deployment.add(a_run())
    deployment.logs.streams = {f"{run.run_id}/0001": ["a"]}
    deployment.logs.growth = {f"{run.run_id}/0001": [["b"]], f"{run.run_id}/0002": [["c"], ["d"]]}
    second = a_run(attempt=AttemptNumber(2))
    ended = a_run(attempt=AttemptNumber(2), status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)
    deployment.runs.script = [run, run, run, run, second, second, second, second, second, second, ended]

    assert _texts(client, run.run_id, follow=True) == [(1, "a"), (1, "b"), (2, "c"), (2, "d")]


# -- ending --------------------------------------------------------------------------------------------------------


def test_cancel_invokes_the_function_with_who_asked(deployment: MemoryDeployment, client: Client) -> None:
    run = deployment.add(a_run())

    answer = client.cancel(run.run_id, now=True)

    (command,) = deployment.stopper.commands
    assert (command.run_id, command.requested_by, command.now) == (run.run_id, "ada", True)
    assert answer.status is RunStatus.STOPPING
