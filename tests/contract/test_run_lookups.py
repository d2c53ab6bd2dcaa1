"""What every store of runs finds again, and how it settles what machines cost."""

from decimal import Decimal

import pytest

from runctl.controller.ports import RunStore
from runctl.errors import StaleWriteError
from runctl.model.ids import AttemptNumber, InstanceId
from runctl.model.status import Reason, RunStatus
from runctl.model.sweep import Deed, Sweep
from tests.contract.examples import (
    FIRST,
    INSTANCE,
    OTHER_RUN_ID,
    RUN_ID,
    START,
    a_run,
    a_settlement,
    a_spending,
    after,
    an_attempt,
    an_event,
    begin,
)

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
