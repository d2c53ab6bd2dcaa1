"""A run in the hand of a script: every answer is of now."""

from pathlib import Path

import pytest

from runctl import Client, RunHandle, RunSpec
from runctl.errors import NotFoundError
from runctl.model import keys
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.status import Reason, RunStatus
from tests.client.deployment import MemoryDeployment, a_run, an_attempt, with_code

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
