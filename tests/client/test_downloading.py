"""Fetching what a run left: whole files, checked, none twice, nothing outside of the folder."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from runctl.client.client import Client
from runctl.errors import AwsUnavailable, DownloadDamaged, UsageError
from runctl.model.attempt import Attempt
from runctl.model.ids import InstanceId
from runctl.model.run import Run
from runctl.model.status import Reason, RunStatus
from tests.client.deployment import MemoryDeployment, a_run, an_attempt

WEIGHTS = b"weights" * 1_000


@pytest.fixture
def deployment() -> MemoryDeployment:
    """An empty deployment."""
    return MemoryDeployment()


@pytest.fixture
def client(deployment: MemoryDeployment) -> Client:
    """Its client."""
    return deployment.client()


@pytest.fixture
def attempt(deployment: MemoryDeployment) -> Attempt:
    """The one attempt of an ended run."""
    return an_attempt()


@pytest.fixture
def run(deployment: MemoryDeployment, attempt: Attempt) -> Run:
    """An ended run with two checkpoints, the newer one of two files, and an output."""
    deployment.results.save(attempt, "step-1", 1, {"step-1/model.bin": b"old"})
    deployment.results.save(attempt, "step-2", 2, {"step-2/model.bin": WEIGHTS, "step-2/optimizer.bin": b"state"})
    deployment.results.leave(attempt, {"plots/loss.csv": b"1,2"})
    return deployment.add(a_run(status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED), attempt)


def test_newest_checkpoint_and_output_are_laid_out_as_the_training_wrote_them(
    client: Client, run: Run, tmp_path: Path
) -> None:
    fetched = client.download(client.plan_download(run, tmp_path))

    assert (tmp_path / "checkpoints/step-2/model.bin").read_bytes() == WEIGHTS
    assert (tmp_path / "checkpoints/step-2/optimizer.bin").read_bytes() == b"state"
    assert (tmp_path / "output/plots/loss.csv").read_bytes() == b"1,2"
    assert (fetched[0].sha256, fetched[0].fetched) == (sha256(WEIGHTS).hexdigest(), True)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "loss.csv",
        "model.bin",
        "optimizer.bin",
    ]


def test_a_checkpoint_is_fetched_by_its_name(client: Client, run: Run, tmp_path: Path) -> None:
    client.download(client.plan_download(run, tmp_path, checkpoint="step-1", output=False))

    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [b"old"]


def test_what_is_there_with_the_right_hash_is_not_fetched_again(
    deployment: MemoryDeployment, client: Client, run: Run, tmp_path: Path
) -> None:
    plan = client.plan_download(run, tmp_path)
    client.download(plan)
    (tmp_path / "checkpoints/step-2/optimizer.bin").write_bytes(b"stale")
    deployment.results.reads.clear()

    again = client.download(plan)

    assert [file.path.name for file in again if file.fetched] == ["optimizer.bin"]
    assert len(deployment.results.reads) == 1
    assert (tmp_path / "checkpoints/step-2/optimizer.bin").read_bytes() == b"state"


def test_bytes_are_told_up_to_the_total(client: Client, run: Run, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    plan = client.plan_download(run, tmp_path)

    client.download(plan, lambda count, total: told.append((count, total)))

    assert sum(count for count, _ in told) == plan.total_bytes == len(WEIGHTS) + 8
    assert {total for _, total in told} == {plan.total_bytes}


def test_a_damaged_file_does_not_take_the_place_of_another(
    deployment: MemoryDeployment, client: Client, run: Run, tmp_path: Path
) -> None:
    key = deployment.results.saved[-1].files[0].key
    deployment.results.objects[key] = b"garbage" * 1_000
    (tmp_path / "checkpoints/step-2").mkdir(parents=True)
    (tmp_path / "checkpoints/step-2/model.bin").write_bytes(b"my own")

    with pytest.raises(DownloadDamaged, match=r"model\.bin"):
        client.download(client.plan_download(run, tmp_path))

    assert deployment.results.reads == [key, key, key]
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [b"my own"]


def test_a_transfer_that_breaks_off_leaves_no_half_file(
    deployment: MemoryDeployment, client: Client, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(_: str) -> Iterator[bytes]:
        yield WEIGHTS[:10]
        raise AwsUnavailable("The connection was closed.")

    monkeypatch.setattr(deployment.results, "read", break_off)

    with pytest.raises(AwsUnavailable):
        client.download(client.plan_download(run, tmp_path))

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "a\\..\\outside"])
def test_a_path_that_leads_out_of_the_folder_is_refused(
    deployment: MemoryDeployment, client: Client, attempt: Attempt, tmp_path: Path, path: str
) -> None:
    deployment.results.save(attempt, "step-9", 9, {path: b"x"})
    run = deployment.add(a_run(status=RunStatus.SUCCEEDED), attempt)

    with pytest.raises(DownloadDamaged, match="outside of"):
        client.download(client.plan_download(run, tmp_path / "to"))

    assert deployment.results.reads == []


def test_a_link_that_leads_out_of_the_folder_is_refused(client: Client, run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "checkpoints").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DownloadDamaged, match="outside of"):
        client.download(client.plan_download(run, tmp_path / "to"))


def test_a_folder_that_cannot_be_made_is_told_with_a_sentence(client: Client, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(UsageError, match="cannot be written"):
        client.download(client.plan_download(run, tmp_path / "file"))


def test_output_of_the_last_attempt_that_left_one_is_taken_and_no_strangers(
    deployment: MemoryDeployment, client: Client, tmp_path: Path
) -> None:
    first, second = an_attempt(number=1), an_attempt(number=2)
    run = deployment.add(a_run(status=RunStatus.SUCCEEDED), first, second)
    deployment.results.leave(second, {"o": b"second"})
    deployment.results.leave(first, {"o": b"first"})
    deployment.results.leave(an_attempt(number=3, instance_id=InstanceId("i-0fedcba9876543210")), {"o": b"planted"})

    client.download(client.plan_download(run, tmp_path))

    assert (tmp_path / "output/o").read_bytes() == b"second"
