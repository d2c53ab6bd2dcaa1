"""A run in the hand of a script: every answer is of now."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runctl import Client, RunHandle, RunSpec
from runctl.errors import NotFoundError, RunctlError
from runctl.model import keys
from runctl.model.extension import Extension
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.status import Reason, RunStatus
from tests.client.deployment import MemoryDeployment, a_run, an_attempt, with_code
from tests.factories import make_spec

RUN_ID = "r-1hx3k7pabcde"


@pytest.fixture
def deployment() -> MemoryDeployment:
    return MemoryDeployment()


@pytest.fixture
def client(deployment: MemoryDeployment) -> Client:
    return deployment.client(project="vision")


def test_train_answers_a_handle_that_asks_anew(deployment: MemoryDeployment, client: Client, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    run = client.train(RunSpec(script="train.py", instance_types=("t3.micro",), project_dir=tmp_path))

    before = run.status
    stored = deployment.runs.runs[run.run_id]
    ended = {"status": RunStatus.SUCCEEDED, "reason": Reason.COMPLETED}
    deployment.runs.runs[run.run_id] = stored.model_copy(update=ended)

    assert (before, run.status, run.reason) == (RunStatus.PENDING, RunStatus.SUCCEEDED, Reason.COMPLETED)
    assert run.wait().run_id == run.run_id
    assert run.document["status"] == "SUCCEEDED"
    assert [event.kind for event in run.events()] == ["submitted"]


def test_handle_is_taken_up_again_by_the_beginning_of_an_id(deployment: MemoryDeployment, client: Client) -> None:
    deployment.add(a_run(RUN_ID), an_attempt(RUN_ID))

    run = client.handle("1hx3")

    assert run.run_id == RUN_ID
    assert [attempt.number for attempt in run.attempts] == [1]
    assert run.cost.is_complete
    with pytest.raises(NotFoundError):
        client.handle("zzz")


def test_lines_of_the_log_are_plain_text(deployment: MemoryDeployment, client: Client) -> None:
    deployment.add(a_run(RUN_ID, status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED), an_attempt(RUN_ID))
    deployment.logs.streams[keys.log_stream(RunId(RUN_ID), AttemptNumber(1))] = ["epoch 1", "epoch 2"]

    lines = list(client.handle(RUN_ID).logs(follow=True))

    assert lines == ["epoch 1", "epoch 2"]


def test_handle_extends_by_what_is_asked_and_says_what_it_adds_to(deployment: MemoryDeployment, client: Client) -> None:
    deployment.add(a_run(RUN_ID, spec=make_spec(max_runtime_s=3_600, max_cost_usd=Decimal("0.50"))))
    handle = client.handle(RUN_ID)

    handle.extend(more_runtime=timedelta(hours=12), cost_usd=Decimal(40))

    (command,) = deployment.stopper.commands
    assert command.extension == Extension(
        max_runtime_s=46_800, added_to_runtime_s=3_600, max_cost_usd=Decimal(40), added_to_cost_usd=None
    )
    assert command.requested_by == client.user


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "by what"),
        ({"cost_usd": Decimal("NaN")}, "more than nothing"),
        ({"cost_usd": Decimal(0)}, "more than nothing"),
        ({"more_usd": Decimal(-1)}, "more than nothing"),
        ({"more_runtime": timedelta(0)}, "more than nothing"),
        ({"runtime": timedelta(hours=2), "more_runtime": timedelta(hours=2)}, "not both"),
        ({"runtime": timedelta(days=400)}, "more than the 720 h"),
        ({"cost_usd": Decimal("0.4")}, "would be less"),
    ],
)
def test_what_makes_no_sense_never_reaches_the_controller(
    deployment: MemoryDeployment, client: Client, asked: dict[str, Any], words: str
) -> None:
    deployment.add(a_run(RUN_ID, spec=make_spec(max_runtime_s=3_600, max_cost_usd=Decimal("0.50"))))

    with pytest.raises(RunctlError, match=words):
        client.handle(RUN_ID).extend(**asked)

    assert deployment.stopper.commands == []


def test_handle_resumes_downloads_and_cancels(deployment: MemoryDeployment, client: Client, tmp_path: Path) -> None:
    attempt = an_attempt(RUN_ID)
    ended = a_run(RUN_ID, status=RunStatus.CANCELLED, reason=Reason.CANCELLED)
    deployment.add(with_code(ended, deployment.code.keep({"train.py": b"print(1)"})), attempt)
    deployment.results.save(attempt, "step-5", 5, {"step-5": b"weights"})
    handle = client.handle(RUN_ID)

    (fetched,) = handle.download(tmp_path)
    resumed = handle.resume()
    resumed.cancel()

    assert fetched.path.read_bytes() == b"weights"
    assert isinstance(resumed, RunHandle)
    assert resumed.run.resumed_from is not None
    assert [command.run_id for command in deployment.stopper.commands] == [resumed.run_id]
