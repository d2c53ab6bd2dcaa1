"""Names that people remember, and runs found by them."""

from datetime import timedelta

import pytest

from runctl.client.naming import ADJECTIVES, NOUNS, memorable_name
from runctl.errors import NotFoundError
from runctl.model.ids import RunId, new_run_id
from runctl.model.status import Reason, RunStatus
from tests.client.deployment import NOW, MemoryDeployment, a_run, an_attempt


def test_same_run_has_always_the_same_name() -> None:
    assert memorable_name(RunId("r-1hx3k7pabcde")) == "grand-orchid"


def test_names_are_many_and_short_and_no_run_id() -> None:
    names = {memorable_name(new_run_id(NOW)) for _ in range(2_000)}

    assert len(names) > 1_800
    assert len(set(ADJECTIVES)) * len(set(NOUNS)) > 15_000
    assert max(map(len, names)) <= 20
    assert all(name.isascii() and name.islower() and name.count("-") == 1 for name in names)


def test_run_is_found_by_its_name() -> None:
    deployment = MemoryDeployment()
    run = deployment.add(a_run(name="brave-otter"))
    deployment.add(a_run("r-1hx3k7pzzzzz", name="calm-heron"))

    assert deployment.client().run("brave-otter").run_id == run.run_id


def test_name_that_several_runs_have_names_them() -> None:
    deployment = MemoryDeployment()
    runs = [deployment.add(a_run(f"r-1hx3k7p{letter * 5}", name="digits")) for letter in "ab"]

    with pytest.raises(NotFoundError) as raised:
        deployment.client().run("digits")

    assert all(run.run_id in raised.value.message for run in runs)


def test_near_name_is_offered() -> None:
    deployment = MemoryDeployment()
    deployment.add(a_run(name="brave-otter"))

    with pytest.raises(NotFoundError) as raised:
        deployment.client().run("brave-oter")

    assert "brave-otter" in raised.value.hint


@pytest.mark.parametrize("is_given", [True, False], ids=["given", "made up"])
def test_resumed_run_has_the_name_that_was_given(is_given: bool) -> None:
    deployment = MemoryDeployment()
    run_id = RunId("r-1hx3k7pabcde")
    earlier = a_run(
        run_id,
        name="digits" if is_given else memorable_name(run_id),
        status=RunStatus.STOPPED,
        reason=Reason.TIMEOUT,
        created_at=NOW - timedelta(days=1),
    )
    code = deployment.code.keep({"train.py": b"print(1)"})
    spec = earlier.spec.model_copy(update={"code": code})
    attempt = an_attempt(run_id)
    earlier = deployment.add(earlier.model_copy(update={"spec": spec}), attempt)
    deployment.results.save(attempt, "step-1", 1, {"weights": b"1"})
    client = deployment.client()

    resumed = client.resume(client.plan_resume(earlier))

    assert resumed.name == ("digits" if is_given else memorable_name(resumed.run_id))
