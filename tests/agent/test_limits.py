"""When the training's time is over, and what an extension of the run changes about it."""

import time
from pathlib import Path

import pytest

from runctl.agent.limits import ANSWER_S, Deadline
from runctl.model.agent_event import EndedWhy
from runctl.model.ids import AttemptNumber
from runctl.model.job import Limits
from runctl.model.keys import limits_key
from runctl.policy.budget_limits import AGENT_GOES_FIRST
from tests.agent.attempt import Attempt
from tests.agent.factories import INSTANCE_ID, RUN_ID, job
from tests.agent.fakes import FakeClock, MemoryStore, Sayings
from tests.agent.test_supervisor import SAVES_AND_LEAVES

KEY = limits_key("AROAEXAMPLE", INSTANCE_ID)


def limits(max_runtime_s: int, attempt: int = 2) -> bytes:
    """The controller's word, as it writes it."""
    word = Limits(run_id=RUN_ID, attempt=AttemptNumber(attempt), max_runtime_s=max_runtime_s)
    return word.model_dump_json().encode()


class Scene:
    """A training that began at 0 and may take 100 s."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.sayings = Sayings()
        self.deadline = Deadline(job(), self.store, self.clock, self.sayings)
        self.began_at = self.clock.monotonic()
        self.deadline.training_began(self.began_at, 100.0)

    def is_over(self, after_s: float) -> bool:
        """Whether the training's time is over so long after its start, once the bucket was asked."""
        self.clock.advance(self.began_at + after_s - self.clock.monotonic())
        self.deadline.step()
        return self.clock.monotonic() >= self.deadline.at


def test_without_an_extension_the_time_is_over_when_the_job_says() -> None:
    scene = Scene()

    before, at = scene.is_over(99.0), scene.is_over(100.0)

    assert (before, at) == (False, True)


def test_an_extended_training_goes_on_until_the_new_time() -> None:
    scene = Scene()
    scene.store.objects[KEY] = limits(160)

    at_the_old, before_the_new, at_the_new = scene.is_over(100.0), scene.is_over(159.0), scene.is_over(160.0)

    assert (at_the_old, before_the_new, at_the_new) == (False, False, True)
    assert "it may train for 160 s in all" in scene.sayings


def test_it_is_extended_again_and_again() -> None:
    scene = Scene()
    scene.store.objects[KEY] = limits(160)
    scene.is_over(100.0)
    scene.store.objects[KEY] = limits(220)

    assert not scene.is_over(160.0)
    assert scene.is_over(220.0)


@pytest.mark.parametrize("word", [limits(160, attempt=1), limits(40), b"{", b"[]", b"\xff", b'{"run_id": 1}'])
def test_a_word_that_is_for_another_attempt_or_less_or_damaged_changes_nothing(word: bytes) -> None:
    scene = Scene()
    scene.store.objects[KEY] = word

    assert scene.is_over(100.0)


def test_a_bucket_out_of_reach_extends_nothing() -> None:
    scene = Scene()
    scene.store.fails = True

    assert scene.is_over(100.0)


def test_the_answer_is_waited_for_but_not_as_long_as_the_controller_waits() -> None:
    scene = Scene()
    scene.clock.advance(100.0)

    waits = scene.clock.monotonic() < scene.deadline.at
    scene.clock.advance(ANSWER_S)

    assert waits
    assert scene.clock.monotonic() >= scene.deadline.at
    assert AGENT_GOES_FIRST.total_seconds() > ANSWER_S


def test_a_training_under_a_supervisor_goes_on_beyond_its_old_time(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES, max_runtime_s=1)
    attempt.store.objects[KEY] = limits(3)

    began_at = time.monotonic()
    ended = attempt.run()

    assert ended.why is EndedWhy.DEADLINE
    assert time.monotonic() - began_at >= 3
    assert "the run was extended" in attempt.log
