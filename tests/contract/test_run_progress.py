"""What every store of runs keeps of a training's course: figures, checkpoints, the timeline."""

from runctl.controller.ports import RunStore
from runctl.model.ids import AttemptNumber
from tests.contract.examples import (
    FIRST,
    RUN_ID,
    a_checkpoint,
    a_run,
    an_attempt,
    an_event,
    begin,
    some_progress,
)

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
