"""How much of `max_runtime` is left."""

from datetime import timedelta

from runctl.model.attempt import FactKind
from runctl.policy.runtime import runtime_left, trained_for
from tests.factories import after, make_attempt, make_spec, with_facts


def test_only_the_time_in_which_the_training_ran_counts() -> None:
    never_trained = make_attempt(1, ended_at=after(5_000))
    trained = with_facts(make_attempt(2), FactKind.STARTED, FactKind.ENDED)  # a minute apart
    spec = make_spec(max_runtime_s=600)

    assert trained_for(never_trained, after(9_000)) == timedelta()
    assert runtime_left(spec, [never_trained, trained], after(9_000)) == timedelta(seconds=540)


def test_the_first_word_of_the_end_counts() -> None:
    attempt = with_facts(make_attempt(ended_at=after(900)), FactKind.STARTED, FactKind.GONE, FactKind.ENDED)

    assert trained_for(attempt, after(9_000)) == timedelta(seconds=60)


def test_a_training_that_runs_counts_until_now_and_nothing_is_left_beyond_the_limit() -> None:
    attempt = with_facts(make_attempt(), FactKind.STARTED)

    assert trained_for(attempt, after(360)) == timedelta(seconds=300)
    assert runtime_left(make_spec(max_runtime_s=100), [attempt], after(360)) == timedelta()


def test_events_in_the_wrong_order_never_make_time() -> None:
    attempt = with_facts(make_attempt(), FactKind.GONE, FactKind.STARTED)

    assert trained_for(attempt, after(9_000)) == timedelta()
