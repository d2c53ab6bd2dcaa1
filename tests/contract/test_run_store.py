"""What every store of runs keeps: one suite over all implementations."""

from decimal import Decimal

import pytest

from runctl.controller.ports import RunStore
from runctl.errors import NotFoundError, StaleWriteError
from runctl.model.attempt import Fact, FactKind, Wait
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.price import PriceStep, Settlement, Spending
from runctl.model.run import CapacityWait, ResumedFrom, Run
from runctl.model.status import TERMINAL_STATUSES, Reason, RunStatus
from runctl.model.sweep import Deed, Sweep
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
    some_progress,
)


def begin(store: RunStore, **attempt_fields: object) -> Run:
    """Write a run and its first attempt."""
    run = a_run()
    store.create_run(run)
    current = run.model_copy(update={"attempt": FIRST, "status": RunStatus.PROVISIONING})
    return store.begin_attempt(current, an_attempt(**attempt_fields))


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


# -- progress and checkpoints ------------------------------------------------------------------------------------


def test_older_figures_do_not_replace_newer_ones(store: RunStore) -> None:
    store.create_run(a_run())

    kept = [store.record_progress(RUN_ID, some_progress(seconds)) for seconds in (30, 20, 30, 40)]

    run = store.run(RUN_ID)
    assert kept == [True, False, False, True]
    assert run is not None
    assert run.progress == some_progress(40)


def test_an_older_checkpoint_does_not_replace_a_newer_one(store: RunStore) -> None:
    begin(store)

    kept = [
        store.record_checkpoint(RUN_ID, a_checkpoint(seconds), an_event(f"saved-{seconds}", seconds))
        for seconds in (30, 20, 30, 40)
    ]

    run = store.run(RUN_ID)
    assert kept == [True, False, False, True]
    assert run is not None
    assert run.checkpoint == a_checkpoint(40)
    assert [event.event_id for event in store.events(RUN_ID)] == ["saved-30", "saved-40"]


def test_a_checkpoints_figures_are_kept_in_the_same_write(store: RunStore) -> None:
    begin(store)

    store.record_checkpoint(RUN_ID, a_checkpoint(30), an_event("saved"), some_progress(30))
    store.record_checkpoint(RUN_ID, a_checkpoint(20), an_event("late", 20), some_progress(99))

    run = store.run(RUN_ID)
    assert run is not None
    assert (run.checkpoint, run.progress) == (a_checkpoint(30), some_progress(30))


def test_the_next_machines_checkpoint_is_newer_whatever_its_clock_says(store: RunStore) -> None:
    store.create_run(a_run(attempt=AttemptNumber(2), checkpoint=a_checkpoint(40, attempt=1)))

    kept = store.record_checkpoint(RUN_ID, a_checkpoint(30, attempt=2), an_event("saved"))
    run = store.run(RUN_ID)

    assert kept
    assert run is not None
    assert run.checkpoint == a_checkpoint(30, attempt=2)


def test_a_checkpoint_of_the_attempt_that_hands_over_counts_until_it_has(store: RunStore) -> None:
    begun = begin(store)
    handing_over = begun.model_copy(update={"attempt": AttemptNumber(2), "hand_over_from": AttemptNumber(1)})
    run = store.begin_attempt(handing_over, an_attempt(number=2))

    during = store.record_checkpoint(RUN_ID, a_checkpoint(30, attempt=1), an_event("saved-30"))
    current = store.run(RUN_ID)
    assert current is not None
    store.save_run(current.model_copy(update={"hand_over_from": None}))
    after = store.record_checkpoint(RUN_ID, a_checkpoint(40, attempt=1), an_event("saved-40"))

    assert (during, after) == (True, False)
    assert run.hand_over_from == 1
    found = store.run(RUN_ID)
    assert found is not None
    assert (found.checkpoint, found.hand_over_from) == (a_checkpoint(30, attempt=1), None)


def test_an_earlier_attempts_checkpoint_is_never_newer_than_a_later_ones(store: RunStore) -> None:
    store.create_run(
        a_run(attempt=AttemptNumber(3), hand_over_from=AttemptNumber(1), checkpoint=a_checkpoint(10, attempt=2))
    )

    assert not store.record_checkpoint(RUN_ID, a_checkpoint(90, attempt=1), an_event("saved"))


def test_a_checkpoint_of_an_attempt_that_is_not_current_is_refused(store: RunStore) -> None:
    begun = begin(store)
    store.begin_attempt(begun.model_copy(update={"attempt": AttemptNumber(2)}), an_attempt(number=2))

    kept = store.record_checkpoint(RUN_ID, a_checkpoint(attempt=1), an_event("saved"))

    run = store.run(RUN_ID)
    assert not kept
    assert run is not None
    assert run.checkpoint is None
    assert store.events(RUN_ID) == ()


# -- timeline ----------------------------------------------------------------------------------------------------


def test_the_timeline_is_read_oldest_first(store: RunStore) -> None:
    store.create_run(a_run(), [an_event("b", 20), an_event("a", 10)])
    store.add_events([an_event("c", 15, data={"price": 0.5, "pools": ["a", "b"]}, attempt=FIRST)])

    events = store.events(RUN_ID)

    assert [event.event_id for event in events] == ["a", "c", "b"]
    assert events[1] == an_event("c", 15, data={"price": 0.5, "pools": ["a", "b"]}, attempt=FIRST)


def test_an_event_that_is_there_already_is_left_as_it_is(store: RunStore) -> None:
    store.create_run(a_run(), [an_event(text="as it was")])

    store.add_events([an_event(text="again"), an_event("other", 1)])

    assert [event.text for event in store.events(RUN_ID)] == ["as it was", "A machine was launched."]


def test_the_same_event_twice_in_one_write_is_one_event(store: RunStore) -> None:
    store.create_run(a_run(), [an_event(), an_event()])

    assert store.events(RUN_ID) == (an_event(),)


# -- looking up --------------------------------------------------------------------------------------------------


def test_attempts_are_read_first_to_last_beyond_four_digits(store: RunStore) -> None:
    run = a_run()
    store.create_run(run)
    for number in (9_999, 10_000, 2):
        run = store.begin_attempt(store.run(RUN_ID) or run, an_attempt(number=number))

    assert [attempt.number for attempt in store.attempts(RUN_ID)] == [2, 9_999, 10_000]


def test_a_machine_leads_to_its_attempt(store: RunStore) -> None:
    begin(store)
    store.save_attempt(an_attempt(instance_id=INSTANCE))

    assert store.attempt_of_machine(INSTANCE) == (RUN_ID, FIRST)
    assert store.attempt_of_machine(InstanceId("i-0fffffffffffffff0")) is None


def test_a_machine_that_served_twice_leads_to_its_newest_attempt(store: RunStore) -> None:
    begun = begin(store, instance_id=INSTANCE)
    second = an_attempt(number=2, instance_id=INSTANCE, created_at=after(1))
    store.begin_attempt(begun.model_copy(update={"attempt": AttemptNumber(2)}), second)

    assert store.attempt_of_machine(INSTANCE) == (RUN_ID, AttemptNumber(2))


def test_a_machine_that_served_two_runs_leads_to_the_newer_one(store: RunStore) -> None:
    begun = begin(store, instance_id=INSTANCE)
    second = an_attempt(number=2, instance_id=INSTANCE, created_at=after(1))
    store.begin_attempt(begun.model_copy(update={"attempt": AttemptNumber(2)}), second)
    store.create_run(a_run(OTHER_RUN_ID, created_at=after(2)))
    newer = an_attempt(OTHER_RUN_ID, instance_id=INSTANCE, created_at=after(2))
    store.begin_attempt(a_run(OTHER_RUN_ID, created_at=after(2), attempt=FIRST), newer)

    assert store.attempt_of_machine(INSTANCE) == (OTHER_RUN_ID, FIRST)


def test_open_runs_are_all_that_have_not_ended(store: RunStore) -> None:
    store.create_run(a_run())
    store.create_run(a_run(OTHER_RUN_ID, project="speech"))

    assert {run.run_id: run for run in store.open_runs()} == {
        RUN_ID: a_run(),
        OTHER_RUN_ID: a_run(OTHER_RUN_ID, project="speech"),
    }


def test_items_of_a_run_do_not_leak_into_another(store: RunStore) -> None:
    begin(store)
    store.add_events([an_event()])
    store.create_run(a_run(OTHER_RUN_ID))

    assert store.attempts(OTHER_RUN_ID) == ()
    assert store.events(OTHER_RUN_ID) == ()


# -- settling ----------------------------------------------------------------------------------------------------


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


def test_a_settled_machine_counts_once_in_its_run_and_is_not_listed_any_more(store: RunStore) -> None:
    begin(store, instance_id=INSTANCE, launched_at=START, gone_at=after(600))
    (attempt,) = store.unsettled_attempts()

    first = store.settle(attempt, a_settlement(), a_spending())
    again = store.settle(attempt, a_settlement("9.00"), a_spending("9.00"))

    run, settled = store.run(RUN_ID), store.attempt(RUN_ID, FIRST)
    assert (first, again) == (True, False)
    assert run is not None
    assert (run.settled_usd, run.settled_on_demand_usd, run.recomputed_usd) == (
        Decimal("1.25"),
        Decimal(3),
        Decimal("0.5"),
    )
    assert settled is not None
    assert settled.settlement == a_settlement()
    assert list(store.unsettled_attempts()) == []


def test_a_machine_that_runs_is_not_settled(store: RunStore) -> None:
    begin(store, instance_id=INSTANCE, launched_at=START)
    (attempt,) = store.unsettled_attempts()

    assert not store.settle(attempt, a_settlement(), a_spending())
    assert [each.number for each in store.unsettled_attempts()] == [FIRST]


def test_what_a_machine_cost_is_written_to_a_run_that_has_ended(store: RunStore) -> None:
    begun = begin(store, instance_id=INSTANCE, launched_at=START, gone_at=after(600))
    store.save_run(begun.model_copy(update={"status": RunStatus.FAILED, "reason": Reason.USER_ERROR}))
    (attempt,) = store.unsettled_attempts()

    assert store.settle(attempt, a_settlement(), a_spending())

    ended = store.run(RUN_ID)
    assert ended is not None
    assert (ended.status, ended.settled_usd) == (RunStatus.FAILED, Decimal("1.25"))
    assert list(store.open_runs()) == []


def test_unsettled_attempts_are_no_open_runs(store: RunStore) -> None:
    begin(store, instance_id=INSTANCE, launched_at=START)

    assert [run.run_id for run in store.open_runs()] == [RUN_ID]


def test_attempts_without_a_machine_of_their_own_have_nothing_to_settle(store: RunStore) -> None:
    begin(store, instance_id=INSTANCE)

    assert list(store.unsettled_attempts()) == []


def test_an_attempt_that_is_written_again_after_its_settlement_is_not_listed(store: RunStore) -> None:
    begin(store, instance_id=INSTANCE, launched_at=START, gone_at=after(600))
    (attempt,) = store.unsettled_attempts()
    store.settle(attempt, a_settlement(), a_spending())
    settled = store.attempt(RUN_ID, FIRST)
    assert settled is not None

    store.save_attempt(settled.model_copy(update={"exit_code": 1}))

    assert list(store.unsettled_attempts()) == []


# -- the reaper's looks ------------------------------------------------------------------------------------------


def test_a_sweep_is_read_as_it_was_written_and_the_next_replaces_it(store: RunStore) -> None:
    first = Sweep(at=START, machines=3, strikes={INSTANCE: START}, deeds=(Deed(run_id=RUN_ID, text="done"),))

    before = store.last_sweep()
    store.save_sweep(first)
    kept = store.last_sweep()
    store.save_sweep(first.model_copy(update={"version": 1, "strikes": {}}))

    replaced = store.last_sweep()
    assert before is None
    assert kept == first.model_copy(update={"version": 1})
    assert replaced is not None
    assert (replaced.strikes, replaced.version) == ({}, 2)


@pytest.mark.parametrize("version", [0, 7])
def test_a_sweep_that_another_look_was_faster_with_is_refused(store: RunStore, version: int) -> None:
    store.save_sweep(Sweep(at=START, runs=1))

    with pytest.raises(StaleWriteError):
        store.save_sweep(Sweep(at=after(1), runs=2, version=version))

    kept = store.last_sweep()
    assert kept is not None
    assert kept.runs == 1
