"""Two machines of a run: the new one waits at its fence, the old one learns that it is waited for."""

import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from runctl.agent.events import EventSender, Identity
from runctl.agent.fence import SAY_S, Fence, ReplacementWatch
from runctl.agent.job import Go, Job
from runctl.agent.notice import NoticeWatch
from runctl.agent.setup_error import SetupCancelledError
from runctl.model.agent_event import AgentEvent, AgentEventKind, EndedWhy, WaitingForHandOver, is_authentic
from runctl.model.ids import AttemptNumber
from runctl.model.job import HandOver, LinkedFile, ReplacementReady, ResumePoint
from runctl.model.keys import go_key, replacement_ready_key
from tests.agent.factories import INSTANCE_ID, RUN_ID, SECRET, job
from tests.agent.fakes import FakeBus, FakeClock, FakeMetadata, MemoryStore, Sayings
from tests.agent.test_supervisor import HEARS_SIGUSR1, SAVES_AND_LEAVES, Attempt

GO_KEY = go_key("AROAEXAMPLE", INSTANCE_ID)
READY_KEY = replacement_ready_key("AROAEXAMPLE", INSTANCE_ID)
SHA256 = "0f" * 32
POINT = ResumePoint(
    manifest_key="m", name="step-7", step=7, files=(LinkedFile(path="step-7", bytes=1, sha256=SHA256, url="u"),)
)


def go(attempt: int = 2, *points: ResumePoint) -> bytes:
    """The controller's word, as it writes it."""
    word = HandOver(run_id=RUN_ID, attempt=AttemptNumber(attempt), resume_points=points, max_runtime_s=90)
    return word.model_dump_json().encode()


def never() -> bool:
    return False


class Scene:
    """A fence, and time that passes while it is waited at; `then` happens at the seconds given."""

    def __init__(self, of: Job, then: dict[float, Callable[["Scene"], None]] | None = None) -> None:
        self.store = MemoryStore()
        self.bus = FakeBus()
        self.clock = FakeClock()
        self.sayings = Sayings()
        self.then = then or {}
        sender = EventSender(Identity(of.run_id, of.attempt, of.instance_id, of.secret), self.bus, self.clock)
        self.fence = Fence(of, self.store, sender, self.clock, self.wait, self.sayings)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        assert self.clock.seconds < 1_000, "it waits for ever"
        for due in [at for at in self.then if at <= self.clock.seconds]:
            self.then.pop(due)(self)


def opens(scene: Scene) -> None:
    scene.store.objects[GO_KEY] = go(2, POINT)


def test_a_machine_that_follows_nobody_trains_at_once_from_its_own_job() -> None:
    scene = Scene(job(resume_points=(POINT,)))

    answer = scene.fence.passed(never)

    assert [point.step for point in answer.resume_points] == [7]
    assert answer.max_runtime_s == 3_600
    assert scene.clock.seconds == 0
    assert scene.bus.events == []


def test_a_fenced_machine_waits_for_the_controllers_word_and_resumes_from_what_it_names() -> None:
    scene = Scene(job(must_fence=True), {25.0: opens})

    answer = scene.fence.passed(never)

    assert 25 <= scene.clock.seconds <= 26
    assert [point.step for point in answer.resume_points] == [7]
    assert answer.max_runtime_s == 90


def test_it_says_every_ten_seconds_that_it_waits_and_no_more_often() -> None:
    scene = Scene(job(must_fence=True), {35.0: opens})

    scene.fence.passed(never)

    said = scene.bus.of("Waiting For Hand-over")
    assert len(said) == 4
    assert SAY_S == 10.0
    event = AgentEvent.model_validate(said[0])
    assert event.kind is AgentEventKind.WAITING_FOR_HAND_OVER
    assert is_authentic(said[0], SECRET)
    assert {WaitingForHandOver.model_validate(each["data"]).waiting_since for each in said} == {
        WaitingForHandOver.model_validate(said[0]["data"]).waiting_since
    }


def test_a_word_for_another_attempt_opens_nothing() -> None:
    scene = Scene(job(must_fence=True), {20.0: opens})
    scene.store.objects[GO_KEY] = go(1, POINT)

    scene.fence.passed(never)

    assert scene.clock.seconds >= 20


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"run_id": 1}', b"\xff"])
def test_a_word_that_cannot_be_read_opens_nothing_and_is_read_again(damage: bytes) -> None:
    scene = Scene(job(must_fence=True), {20.0: opens})
    scene.store.objects[GO_KEY] = damage

    answer = scene.fence.passed(never)

    assert answer.resume_points
    assert "could not be asked for" in scene.sayings


def test_a_bucket_and_a_bus_out_of_reach_are_tried_again() -> None:
    def mend(scene: Scene) -> None:
        scene.store.fails = False
        opens(scene)

    scene = Scene(job(must_fence=True), {20.0: mend})
    scene.store.fails = True
    scene.bus.failures["Waiting For Hand-over"] = 3

    scene.fence.passed(never)

    assert len(scene.bus.of("Waiting For Hand-over")) == 2
    assert "could not be asked for" in scene.sayings


def test_waiting_ends_when_the_preparation_is_cancelled() -> None:
    scene = Scene(job(must_fence=True))

    with pytest.raises(SetupCancelledError):
        scene.fence.passed(lambda: scene.clock.seconds > 5)


def test_the_old_machine_asks_only_after_a_notice_and_only_until_it_knows() -> None:
    store, clock, sayings = MemoryStore(), FakeClock(), Sayings()
    metadata = FakeMetadata()
    notices = NoticeWatch(metadata, clock, sayings)
    watch = ReplacementWatch(job(), store, notices, sayings)
    ready = ReplacementReady(run_id=RUN_ID, attempt=AttemptNumber(3)).model_dump_json().encode()
    store.objects[READY_KEY] = ready

    watch.step()
    before = notices.is_replacement_ready
    metadata.items["spot/instance-action"] = '{"action": "terminate", "time": "2026-01-31T09:32:00Z"}'
    notices.step()
    watch.step()

    assert not before
    assert notices.is_replacement_ready
    assert "another machine is ready" in sayings


# -- whole attempts -----------------------------------------------------------------------------------------------


def test_a_fenced_attempt_prepares_waits_and_trains_from_the_checkpoint_of_the_hand_over(tmp_path: Path) -> None:
    text = "import os; print('from', open(os.environ['RUNCTL_RESUME_FROM']).read())"
    attempt = Attempt(tmp_path, text, must_fence=True)
    attempt.links.contents["u"] = b"seven"
    digest = sha256(b"seven").hexdigest()
    point = POINT.model_copy(update={"files": (POINT.files[0].model_copy(update={"sha256": digest, "bytes": 5}),)})

    def open_when_it_waits() -> None:
        while not attempt.bus.of("Waiting For Hand-over"):
            threading.Event().wait(0.02)
        attempt.store.objects[GO_KEY] = go(2, point)

    threading.Thread(target=open_when_it_waits, daemon=True).start()
    ended = attempt.run()

    assert ended.exit_code == 0
    assert "from seven" in attempt.log
    (started,) = attempt.bus.of("Training Started")
    assert started["data"]["resumed_from_step"] == 7


def test_a_fenced_attempt_that_is_warned_leaves_without_having_trained(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, SAVES_AND_LEAVES, must_fence=True)
    attempt.warn(4)

    ended = attempt.run()

    assert ended.why is EndedWhy.NOTICE
    assert not ended.started


def test_a_training_that_hears_sigusr1_is_asked_to_leave_when_its_replacement_is_ready(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, HEARS_SIGUSR1)

    def warn_and_replace() -> None:
        attempt.warn(100)
        while not any("saving" in log.read_text() for log in attempt.folder.path.glob("training-*.log")):
            threading.Event().wait(0.02)
        word = ReplacementReady(run_id=RUN_ID, attempt=AttemptNumber(3))
        attempt.store.objects[READY_KEY] = word.model_dump_json().encode()

    attempt.when_training(warn_and_replace)
    ended = attempt.run()

    assert ended.why is EndedWhy.NOTICE
    assert ended.exit_code == 75
    assert "saving" in attempt.log
    assert "another machine is ready" in attempt.log


def test_a_hand_over_reads_the_same_on_both_sides() -> None:
    scene = Scene(job(must_fence=True), {1.0: opens})

    answer = scene.fence.passed(never)

    assert isinstance(answer, Go)
    (file,) = answer.resume_points[0].files
    assert (file.path, file.bytes, file.sha256, file.url) == ("step-7", 1, SHA256, "u")
