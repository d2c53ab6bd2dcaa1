"""What every store of runs keeps: one suite over all implementations."""

import pytest

from runctl.controller.ports import RunStore
from runctl.errors import NotFoundError, StaleWriteError
from runctl.model.attempt import Fact, FactKind, Wait
from runctl.model.ids import RunId, TaskToken
from runctl.model.run import CapacityWait, ResumedFrom, Run
from runctl.model.status import TERMINAL_STATUSES, Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.contract.examples import (
    FIRST,
    INSTANCE,
    OTHER_RUN_ID,
    RUN_ID,
    START,
    a_checkpoint,
    a_launch_try,
    a_run,
    a_stop_request,
    after,
    an_attempt,
    an_event,
    begin,
    some_progress,
)

# -- machines that are kept --------------------------------------------------------------------------------------


def test_a_machine_is_held_by_one_run_until_another_takes_it_from_that_very_one(store: RunStore) -> None:
    first = store.claim_machine(INSTANCE, RUN_ID)
    again = store.claim_machine(INSTANCE, RUN_ID)
    refused = store.claim_machine(INSTANCE, OTHER_RUN_ID)
    stale = store.claim_machine(INSTANCE, OTHER_RUN_ID, held_by=RunId("r-somebodyelse"))
    taken = store.claim_machine(INSTANCE, OTHER_RUN_ID, held_by=RUN_ID)

    assert [first, again, refused, stale] == [RUN_ID] * 4
    assert taken == OTHER_RUN_ID
    assert store.claim_machine(INSTANCE, RUN_ID) == OTHER_RUN_ID


# -- what is written is what is read -----------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_written(store: RunStore) -> None:
    run = a_run(
        stop_request=a_stop_request(),
        capacity_wait=CapacityWait(waiting_since=START, tries=2, next_try_at=after(15), refusals=("none in 1a",)),
        checkpoint=a_checkpoint(),
        progress=some_progress(),
        resumed_from=ResumedFrom(run_id=OTHER_RUN_ID, checkpoint="step-30.npz"),
        machine=INSTANCE,
    )

    store.create_run(run)

    assert store.run(RUN_ID) == run


def test_an_attempt_is_read_as_it_was_written(store: RunStore) -> None:
    attempt = an_attempt(
        launch=a_launch_try(),
        instance_id=INSTANCE,
        tokens={Wait.READY: TaskToken("a token")},
        facts={FactKind.ENDED: Fact(at=after(9), data={"exit_code": None, "signal": 9, "prepared_s": 1.5, "ok": True})},
    )
    store.create_run(a_run())

    store.begin_attempt(a_run(attempt=FIRST), attempt)

    assert store.attempt(RUN_ID, FIRST) == attempt


def test_free_form_data_comes_back_as_json_values(store: RunStore) -> None:
    store.create_run(a_run())
    begun = store.begin_attempt(a_run(attempt=FIRST), an_attempt(launch=a_launch_try()))

    attempt = store.attempt(begun.run_id, FIRST)

    assert attempt is not None
    assert attempt.launch is not None
    overrides = attempt.launch.request["LaunchTemplateConfigs"][0]["Overrides"][0]
    assert type(overrides["Priority"]) is float
    assert type(attempt.launch.request["TargetCapacitySpecification"]["TotalTargetCapacity"]) is int


@pytest.mark.parametrize("loss", [float("inf"), float("-inf"), 1e-200, 0.0])
def test_a_loss_that_is_no_ordinary_number_is_kept(store: RunStore, loss: float) -> None:
    store.create_run(a_run())

    store.record_progress(RUN_ID, some_progress(loss=loss))

    run = store.run(RUN_ID)
    assert run is not None
    assert run.progress == some_progress(loss=loss)


def test_nothing_is_read_where_nothing_was_written(store: RunStore) -> None:
    assert store.run(RUN_ID) is None
    assert store.attempt(RUN_ID, FIRST) is None
    assert store.attempts(RUN_ID) == ()
    assert store.events(RUN_ID) == ()
    assert list(store.open_runs()) == []
    assert store.attempt_of_machine(INSTANCE) is None


# -- one writer wins ---------------------------------------------------------------------------------------------


def test_a_run_id_is_taken_once(store: RunStore) -> None:
    store.create_run(a_run(name="first"))

    with pytest.raises(StaleWriteError):
        store.create_run(a_run(name="second"))

    run = store.run(RUN_ID)
    assert run is not None
    assert run.name == "first"


def test_of_two_writers_who_read_the_same_version_one_wins(store: RunStore) -> None:
    store.create_run(a_run())
    read = store.run(RUN_ID)
    assert read is not None
    store.save_run(read.model_copy(update={"message": "first"}))

    with pytest.raises(StaleWriteError):
        store.save_run(read.model_copy(update={"message": "second"}), [an_event("second")])

    kept = store.run(RUN_ID)
    assert kept is not None
    assert kept.message == "first"
    assert store.events(RUN_ID) == ()


def test_a_save_answers_the_run_as_written(store: RunStore) -> None:
    store.create_run(a_run())

    saved = store.save_run(a_run(message="on"))
    again = store.save_run(saved.model_copy(update={"message": "further on"}))

    assert (saved.version, again.version) == (2, 3)
    assert store.run(RUN_ID) == again


def test_a_run_that_was_never_written_cannot_be_saved(store: RunStore) -> None:
    with pytest.raises(StaleWriteError):
        store.save_run(a_run())


def test_of_two_writers_of_an_attempt_one_wins(store: RunStore) -> None:
    begin(store)
    first = store.save_attempt(an_attempt(evidence="first"))

    with pytest.raises(StaleWriteError):
        store.save_attempt(an_attempt(evidence="second"))

    assert store.attempt(RUN_ID, FIRST) == first
    assert first.evidence == "first"
    assert first.version == 2


def test_an_attempt_begins_once(store: RunStore) -> None:
    begun = begin(store)

    with pytest.raises(StaleWriteError):
        store.begin_attempt(begun, an_attempt(secret="99" * 16))

    attempt = store.attempt(RUN_ID, FIRST)
    assert attempt is not None
    assert attempt.secret == an_attempt().secret
    assert store.run(RUN_ID) == begun


def test_an_attempt_does_not_begin_on_a_run_that_changed(store: RunStore) -> None:
    store.create_run(a_run())
    store.save_run(a_run(message="changed"))

    with pytest.raises(StaleWriteError):
        store.begin_attempt(a_run(attempt=FIRST), an_attempt())

    assert store.attempts(RUN_ID) == ()


def test_a_narrow_write_makes_a_save_of_the_older_version_stale(store: RunStore) -> None:
    begun = begin(store)
    attempt = store.attempt(RUN_ID, FIRST)
    assert attempt is not None
    store.record_fact(RUN_ID, FIRST, FactKind.WARNED, Fact(at=after(5)))
    store.record_progress(RUN_ID, some_progress())

    with pytest.raises(StaleWriteError):
        store.save_attempt(attempt)
    with pytest.raises(StaleWriteError):
        store.save_run(begun)


# -- terminal states never change --------------------------------------------------------------------------------


@pytest.fixture(params=sorted(TERMINAL_STATUSES))
def ended(request: pytest.FixtureRequest, store: RunStore) -> Run:
    """A run that has ended, with one attempt."""
    begun = begin(store)
    return store.save_run(begun.model_copy(update={"status": request.param, "ended_at": after(100)}))


def test_a_run_that_has_ended_cannot_be_saved(store: RunStore, ended: Run) -> None:
    with pytest.raises(StaleWriteError):
        store.save_run(ended.model_copy(update={"status": RunStatus.RUNNING}))

    assert store.run(RUN_ID) == ended


def test_a_run_that_has_ended_begins_no_attempt(store: RunStore, ended: Run) -> None:
    with pytest.raises(StaleWriteError):
        store.begin_attempt(ended, an_attempt(number=2))

    assert len(store.attempts(RUN_ID)) == 1


def test_a_run_that_has_ended_takes_no_progress_checkpoint_or_stop(store: RunStore, ended: Run) -> None:
    assert not store.record_progress(RUN_ID, some_progress())
    assert not store.record_checkpoint(RUN_ID, a_checkpoint(), an_event("saved"))
    assert store.request_stop(RUN_ID, a_stop_request(), an_event("stop")) is None

    assert store.run(RUN_ID) == ended
    assert store.events(RUN_ID) == ()


def test_a_run_that_has_ended_is_not_among_the_open_ones(store: RunStore, ended: Run) -> None:
    store.create_run(a_run(OTHER_RUN_ID))

    assert [run.run_id for run in store.open_runs()] == [OTHER_RUN_ID]


def test_evidence_is_still_written_after_the_run_ended(store: RunStore, ended: Run) -> None:
    recorded = store.record_fact(RUN_ID, FIRST, FactKind.GONE, Fact(at=after(120)))
    attempt = store.attempt(RUN_ID, FIRST)
    assert attempt is not None
    saved = store.save_attempt(attempt.model_copy(update={"gone_at": after(120)}))

    assert recorded
    assert saved.gone_at == after(120)


# -- facts -------------------------------------------------------------------------------------------------------


def test_a_fact_is_written_once_and_the_first_stands(store: RunStore) -> None:
    begin(store)

    first = store.record_fact(RUN_ID, FIRST, FactKind.WARNED, Fact(at=after(5), data={"by": "event"}), an_event("w", 5))
    second = store.record_fact(RUN_ID, FIRST, FactKind.WARNED, Fact(at=after(7), data={"by": "poll"}), an_event("w", 7))

    attempt = store.attempt(RUN_ID, FIRST)
    assert (first, second) == (True, False)
    assert attempt is not None
    assert attempt.facts == {FactKind.WARNED: Fact(at=after(5), data={"by": "event"})}
    assert [event.at for event in store.events(RUN_ID)] == [after(5)]


def test_facts_of_different_kinds_stand_beside_each_other(store: RunStore) -> None:
    begin(store)

    for kind in FactKind:
        assert store.record_fact(RUN_ID, FIRST, kind, Fact(at=after(1), data={"kind": kind.value}))

    attempt = store.attempt(RUN_ID, FIRST)
    assert attempt is not None
    assert set(attempt.facts) == set(FactKind)
    assert attempt.version == 1 + len(FactKind)


def test_a_fact_of_an_unknown_attempt_is_refused_loudly(store: RunStore) -> None:
    store.create_run(a_run())

    with pytest.raises(NotFoundError):
        store.record_fact(RUN_ID, FIRST, FactKind.READY, Fact(at=START), an_event())

    assert store.attempts(RUN_ID) == ()
    assert store.events(RUN_ID) == ()


# -- tokens ------------------------------------------------------------------------------------------------------


def test_a_later_token_replaces_the_earlier_one(store: RunStore) -> None:
    begin(store)

    kept = [
        store.store_token(RUN_ID, FIRST, Wait.READY, TaskToken("ready 1"), "2026-01-01T00:00:00.000Z#0000"),
        store.store_token(RUN_ID, FIRST, Wait.TRAIN, TaskToken("train 1"), "2026-01-01T00:00:01.000Z#0000"),
        store.store_token(RUN_ID, FIRST, Wait.TRAIN, TaskToken("train 2"), "2026-01-01T00:00:01.000Z#0001"),
        store.store_token(RUN_ID, FIRST, Wait.TRAIN, TaskToken("train 2"), "2026-01-01T00:00:01.000Z#0001"),
    ]

    attempt = store.attempt(RUN_ID, FIRST)
    assert attempt is not None
    assert all(kept)
    assert attempt.tokens == {Wait.TRAIN: "train 2"}


@pytest.mark.parametrize("turn", ["2026-01-01T00:00:01.000Z#0000", "2026-01-01T00:00:00.999Z#0009", ""])
@pytest.mark.parametrize("wait", list(Wait))
def test_a_token_that_comes_late_does_not_replace_the_later_ones(store: RunStore, wait: Wait, turn: str) -> None:
    begin(store)
    store.store_token(RUN_ID, FIRST, Wait.TRAIN, TaskToken("train 2"), "2026-01-01T00:00:01.000Z#0001")

    kept = store.store_token(RUN_ID, FIRST, wait, TaskToken("late"), turn)

    attempt = store.attempt(RUN_ID, FIRST)
    assert attempt is not None
    assert not kept
    assert attempt.tokens == {Wait.TRAIN: "train 2"}


def test_a_token_of_an_unknown_attempt_is_refused_loudly(store: RunStore) -> None:
    with pytest.raises(NotFoundError):
        store.store_token(RUN_ID, FIRST, Wait.READY, TaskToken("lost"))

    assert store.attempts(RUN_ID) == ()


# -- stop requests -----------------------------------------------------------------------------------------------


def test_a_stop_request_is_written_with_its_status_and_event(store: RunStore) -> None:
    store.create_run(a_run())

    stopping = store.request_stop(RUN_ID, a_stop_request(), an_event("stop", 60, kind=TimelineKind.STOP_REQUESTED))

    assert stopping is not None
    assert stopping.status is RunStatus.STOPPING
    assert stopping.stop_request == a_stop_request()
    assert store.run(RUN_ID) == stopping
    assert [event.event_id for event in store.events(RUN_ID)] == ["stop"]


def test_the_first_stop_request_stands(store: RunStore) -> None:
    store.create_run(a_run())
    store.request_stop(RUN_ID, a_stop_request(reason=Reason.TIMEOUT, by="limit"), an_event("stop", 60))

    again = store.request_stop(RUN_ID, a_stop_request(by="ada"), an_event("stop", 61))

    assert again is not None
    assert again.stop_request == a_stop_request(reason=Reason.TIMEOUT, by="limit")
    assert len(store.events(RUN_ID)) == 1


def test_a_later_stop_request_can_only_raise_now(store: RunStore) -> None:
    store.create_run(a_run())
    store.request_stop(RUN_ID, a_stop_request(reason=Reason.TIMEOUT, by="limit"), an_event("stop", 60))

    raised = store.request_stop(RUN_ID, a_stop_request(by="ada", now=True), an_event("now", 61))
    lowered = store.request_stop(RUN_ID, a_stop_request(by="ada", now=False), an_event("later", 62))

    expected = a_stop_request(reason=Reason.TIMEOUT, by="limit", now=True)
    assert raised is not None
    assert raised.stop_request == expected
    assert lowered is not None
    assert lowered.stop_request == expected


def test_a_stop_that_was_decided_before_an_extension_is_not_written(store: RunStore) -> None:
    store.create_run(a_run())
    run = store.run(RUN_ID)
    assert run is not None
    store.save_run(run.model_copy(update={"extensions": 1}))

    before = store.request_stop(RUN_ID, a_stop_request(), an_event("stop", 60), extensions=0)
    after = store.request_stop(RUN_ID, a_stop_request(), an_event("stop", 61), extensions=1)

    assert before is not None
    assert before.stop_request is None
    assert after is not None
    assert after.stop_request == a_stop_request()
    assert len(store.events(RUN_ID)) == 1


def test_a_stop_of_an_unknown_run_is_refused_loudly(store: RunStore) -> None:
    with pytest.raises(NotFoundError):
        store.request_stop(RUN_ID, a_stop_request(), an_event())

    assert store.run(RUN_ID) is None
    assert store.events(RUN_ID) == ()
