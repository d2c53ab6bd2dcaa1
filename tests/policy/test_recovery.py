"""What follows the end of an attempt: the table of DESIGN §4."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.decision import Action
from runctl.model.ids import AttemptNumber
from runctl.model.run import CapacityWait, CheckpointRef, Run
from runctl.model.status import Reason
from runctl.policy.endings import Ending
from runctl.policy.recovery import RecoveryDecision, Situation, decide
from tests.factories import INSTANCE, after, make_attempt, make_run, make_spec, make_stop_request, with_facts

NOW = after(10_000)


def ended(number: int, reason: Reason, *, trained: bool = True) -> Attempt:
    """An earlier attempt that ended for a reason; its training, if it came to that, ran for a minute."""
    attempt = make_attempt(number, reason=reason, ended_at=after(1_000))
    return with_facts(attempt, FactKind.STARTED, FactKind.ENDED) if trained else attempt


def after_endings(*reasons: Reason, run: Run | None = None, trained: bool = True, **fields: Any) -> RecoveryDecision:
    """Decide after attempts that ended for these reasons, the last one just now."""
    attempts = [ended(n + 1, reason, trained=trained) for n, reason in enumerate(reasons)]
    ending = Ending(reasons[-1], f"It was {reasons[-1]}.")
    attempts[-1] = attempts[-1].model_copy(update={"reason": None, "ended_at": None})
    return decide(Situation(run or make_run(), attempts, ending, **fields), NOW)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_decision(reason: Reason) -> None:
    decision = after_endings(reason)

    expected = {
        Reason.SPOT_INTERRUPTION: Action.LAUNCH,
        Reason.MACHINE_LOST: Action.LAUNCH,
        Reason.MACHINE_NOT_READY: Action.LAUNCH,
        Reason.NO_PROGRESS: Action.LAUNCH,
        Reason.CAPACITY: Action.WAIT,
    }
    assert decision.action is expected.get(reason, Action.CONCLUDE)
    assert decision.reason is reason
    assert decision.text


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.COMPLETED])
@pytest.mark.parametrize("asked", [Reason.CANCELLED, Reason.BUDGET, Reason.TIMEOUT])
def test_a_stop_request_wins_over_everything_but_success(reason: Reason, asked: Reason) -> None:
    run = make_run(stop_request=make_stop_request(asked), spec=make_spec(retries=9))

    decision = after_endings(reason, run=run)

    assert (decision.action, decision.reason) == (Action.CONCLUDE, asked)


def test_a_success_stands_though_a_stop_was_requested() -> None:
    decision = after_endings(Reason.COMPLETED, run=make_run(stop_request=make_stop_request()))

    assert (decision.action, decision.reason) == (Action.CONCLUDE, Reason.COMPLETED)


# -- interruptions and lost machines -----------------------------------------------------------------------------


def test_interruptions_are_survived_without_limit_while_checkpoints_get_newer() -> None:
    reasons = [Reason.SPOT_INTERRUPTION] * 50
    progressed = frozenset(AttemptNumber(n) for n in range(1, 51))

    assert after_endings(*reasons, progressed=progressed).action is Action.LAUNCH


def test_the_third_lost_machine_in_a_row_ends_the_run() -> None:
    progressed = frozenset(AttemptNumber(n) for n in range(1, 9))
    lost, not_ready = Reason.MACHINE_LOST, Reason.MACHINE_NOT_READY

    second = after_endings(lost, not_ready, progressed=progressed)
    third = after_endings(lost, not_ready, lost, progressed=progressed)
    broken_row = after_endings(lost, not_ready, Reason.SPOT_INTERRUPTION, lost, progressed=progressed)

    assert second.action is Action.LAUNCH
    assert (third.action, third.reason) == (Action.CONCLUDE, Reason.MACHINE_LOST)
    assert "number 3 in a row" in third.text
    assert broken_row.action is Action.LAUNCH


def test_three_attempts_without_a_newer_checkpoint_are_no_progress() -> None:
    interrupted = Reason.SPOT_INTERRUPTION

    second = after_endings(interrupted, interrupted)
    third = after_endings(interrupted, interrupted, interrupted)
    with_one = after_endings(interrupted, interrupted, interrupted, progressed=frozenset({AttemptNumber(2)}))

    assert second.action is Action.LAUNCH
    assert (third.action, third.reason) == (Action.CONCLUDE, Reason.NO_PROGRESS)
    assert with_one.action is Action.LAUNCH


def test_machines_taken_back_before_they_trained_are_no_attempts_without_progress() -> None:
    reasons = [Reason.SPOT_INTERRUPTION] * 5

    assert after_endings(*reasons, trained=False).action is Action.LAUNCH


def test_leaving_unasked_counts_as_no_progress_even_with_a_checkpoint() -> None:
    progressed = frozenset(AttemptNumber(n) for n in (1, 2, 3))
    unasked = Reason.NO_PROGRESS

    assert after_endings(unasked, unasked, progressed=progressed).action is Action.LAUNCH
    assert after_endings(unasked, unasked, unasked, progressed=progressed).action is Action.CONCLUDE


def test_another_machine_says_where_it_resumes() -> None:
    checkpoint = CheckpointRef(
        name="step-400.npz", step=400, manifest_key="k", bytes=1, saved_at=after(1), attempt=AttemptNumber(1)
    )

    without = after_endings(Reason.SPOT_INTERRUPTION)
    with_one = after_endings(Reason.SPOT_INTERRUPTION, run=make_run(checkpoint=checkpoint))

    assert without.text.endswith("starts from the beginning: there is no checkpoint yet.")
    assert with_one.text.endswith("Another machine resumes from step 400.")


def test_a_machine_that_was_given_is_not_replaced() -> None:
    decision = after_endings(Reason.MACHINE_LOST, run=make_run(machine=INSTANCE))

    assert (decision.action, decision.reason) == (Action.CONCLUDE, Reason.MACHINE_LOST)


# -- failures of the training itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason", [Reason.USER_ERROR, Reason.SETUP_FAILED, Reason.OUT_OF_MEMORY, Reason.CHECKPOINT_MISSING]
)
def test_a_failure_of_the_training_is_retried_as_often_as_asked(reason: Reason) -> None:
    run = make_run(spec=make_spec(retries=2))

    assert after_endings(reason).action is Action.CONCLUDE
    assert after_endings(reason, run=run).action is Action.LAUNCH
    assert after_endings(reason, Reason.SPOT_INTERRUPTION, reason, run=run).action is Action.LAUNCH
    assert after_endings(reason, reason, reason, run=run).action is Action.CONCLUDE


# -- the deadline ------------------------------------------------------------------------------------------------


def test_no_other_machine_is_launched_when_the_time_limit_is_used_up() -> None:
    run = make_run(spec=make_spec(max_runtime_s=120))
    progressed = frozenset({AttemptNumber(1), AttemptNumber(2)})

    first = after_endings(Reason.SPOT_INTERRUPTION, run=run, progressed=progressed)
    second = after_endings(Reason.SPOT_INTERRUPTION, Reason.SPOT_INTERRUPTION, run=run, progressed=progressed)

    assert first.action is Action.LAUNCH
    assert (second.action, second.reason) == (Action.CONCLUDE, Reason.TIMEOUT)


# -- no capacity, no quota ---------------------------------------------------------------------------------------


def test_missing_capacity_is_waited_for_until_the_deadline() -> None:
    spec = make_spec(capacity_timeout_s=60)
    first = after_endings(Reason.CAPACITY, run=make_run(spec=spec), refusals=("spot t3.micro: none",))
    assert first.capacity_wait is not None
    waiting = make_run(spec=spec, capacity_wait=CapacityWait(waiting_since=NOW - timedelta(seconds=60), tries=3))

    at_deadline = after_endings(Reason.CAPACITY, run=waiting)

    assert (first.action, first.delay) == (Action.WAIT, timedelta(seconds=15))
    assert first.capacity_wait.refusals == ("spot t3.micro: none",)
    assert (at_deadline.action, at_deadline.reason) == (Action.CONCLUDE, Reason.CAPACITY)
    assert "AWS had no machine for 60 s." in at_deadline.text


def test_without_time_to_wait_the_first_refusal_ends_the_run() -> None:
    decision = after_endings(Reason.CAPACITY, run=make_run(spec=make_spec(capacity_timeout_s=0)))

    assert (decision.action, decision.reason) == (Action.CONCLUDE, Reason.CAPACITY)


def test_a_full_quota_is_waited_for_once_while_ones_own_machine_goes() -> None:
    first = after_endings(Reason.SPOT_INTERRUPTION, Reason.QUOTA, own_machine_going=True)
    waited = make_run(capacity_wait=first.capacity_wait)

    again = after_endings(Reason.SPOT_INTERRUPTION, Reason.QUOTA, run=waited, own_machine_going=True)
    of_others = after_endings(Reason.QUOTA, own_machine_going=False)

    assert (first.action, first.reason) == (Action.WAIT, Reason.QUOTA)
    assert again.action is Action.CONCLUDE
    assert of_others.action is Action.CONCLUDE


# -- whatever happens --------------------------------------------------------------------------------------------

reasons = st.lists(st.sampled_from(list(Reason)), min_size=1, max_size=12)


@given(
    reasons=reasons,
    progressed=st.frozensets(st.integers(1, 12).map(AttemptNumber)),
    retries=st.integers(0, 3),
    stopped=st.booleans(),
    trained=st.booleans(),
    going=st.booleans(),
)
def test_whatever_happened_there_is_a_decision_that_makes_sense(
    reasons: list[Reason],
    progressed: frozenset[AttemptNumber],
    retries: int,
    stopped: bool,
    trained: bool,
    going: bool,
) -> None:
    stop = make_stop_request() if stopped else None
    run = make_run(spec=make_spec(retries=retries), stop_request=stop)

    decision = after_endings(*reasons, run=run, trained=trained, progressed=progressed, own_machine_going=going)

    assert decision.text
    assert (decision.delay > timedelta()) is (decision.action is Action.WAIT)
    if stopped or reasons[-1] is Reason.COMPLETED:
        assert decision.action is Action.CONCLUDE


@given(st.lists(st.sampled_from([Reason.MACHINE_LOST, Reason.MACHINE_NOT_READY, Reason.NO_PROGRESS]), min_size=5))
def test_a_run_that_gets_nowhere_ends(reasons: list[Reason]) -> None:
    assert after_endings(*reasons).action is Action.CONCLUDE


# -- what passes ---------------------------------------------------------------------------------------------------


def test_a_fault_of_aws_that_lasts_is_waited_out_like_a_lack_of_capacity() -> None:
    ending = Ending(Reason.CAPACITY, "AWS did not do what it was asked for (Throttled).", is_passing=True)
    first = decide(Situation(make_run(), [make_attempt()], ending), NOW)
    waiting = CapacityWait(waiting_since=after(0), tries=9, next_try_at=NOW)
    at_last = decide(Situation(make_run(capacity_wait=waiting), [make_attempt()], ending), NOW)

    assert (first.action, first.delay) == (Action.WAIT, timedelta(seconds=15))
    assert "The next try is in 15 s" in first.text
    assert (at_last.action, at_last.reason) == (Action.CONCLUDE, Reason.CAPACITY)
    assert "tried again for 2 h" in at_last.text


@pytest.mark.parametrize(("code", "action"), [(3, Action.LAUNCH), (4, Action.CONCLUDE), (None, Action.CONCLUDE)])
def test_only_failures_with_the_exit_codes_that_were_named_are_tried_again(code: int | None, action: Action) -> None:
    run = make_run(spec=make_spec(retries=2, retry_exit_codes=(3, 17)))

    decision = decide(Situation(run, [make_attempt()], Ending(Reason.USER_ERROR, "It failed.", code)), NOW)

    assert decision.action is action


# -- fallback ------------------------------------------------------------------------------------------------------

FALLBACK = make_run(spec=make_spec(fallback=True))


def refused(run: Run, waited_s: float, tries: int) -> RecoveryDecision:
    """Decide when spot pools refuse a run that has waited this long."""
    waiting = CapacityWait(waiting_since=NOW - timedelta(seconds=waited_s), tries=tries) if tries else None
    run = run.model_copy(update={"capacity_wait": waiting})
    return decide(Situation(run, [make_attempt(instance_id=None)], Ending(Reason.CAPACITY, "None.")), NOW)


def test_a_run_with_fallback_asks_on_demand_after_ten_minutes_of_refusals_and_tells() -> None:
    early, late = refused(FALLBACK, 225, 4), refused(FALLBACK, 465, 5)

    assert (early.fell_back_at, early.tell) == (None, False)
    assert late.delay == timedelta(seconds=135)
    assert late.fell_back_at == NOW + timedelta(seconds=135)
    assert late.tell
    assert "on demand" in late.text


def test_without_fallback_or_after_it_refusals_change_nothing() -> None:
    fell_back = FALLBACK.model_copy(update={"fell_back_at": NOW})

    for run in (make_run(), fell_back):
        assert refused(run, 465, 5).fell_back_at is None
        assert refused(run, 465, 5).delay == timedelta(seconds=480)


@pytest.mark.parametrize(("minutes_ago", "falls_back"), [(59, True), (61, False)])
def test_a_run_with_fallback_goes_on_on_demand_after_two_interruptions_in_an_hour(
    minutes_ago: int, falls_back: bool
) -> None:
    earlier = make_attempt(reason=Reason.SPOT_INTERRUPTION, ended_at=NOW - timedelta(minutes=minutes_ago))
    last = with_facts(make_attempt(2), FactKind.WARNED)
    ending = Ending(Reason.SPOT_INTERRUPTION, "EC2 takes it back.")

    decision = decide(Situation(FALLBACK, [earlier, last], ending), NOW)
    without = decide(Situation(make_run(), [earlier, last], ending), NOW)

    assert decision.action is Action.LAUNCH
    assert (decision.fell_back_at, decision.tell) == ((NOW, True) if falls_back else (None, False))
    assert without.fell_back_at is None


def test_a_full_spot_quota_is_waited_out_by_a_run_that_may_fall_back() -> None:
    ending = Ending(Reason.QUOTA, "Full.")

    assert decide(Situation(FALLBACK, [make_attempt(instance_id=None)], ending), NOW).action is Action.WAIT
    assert decide(Situation(make_run(), [make_attempt(instance_id=None)], ending), NOW).action is Action.CONCLUDE


# -- hand-over -----------------------------------------------------------------------------------------------------


def warned_and_training(number: int = 1) -> Attempt:
    """An attempt that trains on within its notice."""
    attempt = with_facts(make_attempt(number, command_id="c"), FactKind.STARTED)
    warned = {FactKind.WARNED: Fact(at=NOW - timedelta(seconds=2))}
    return attempt.model_copy(update={"facts": {**attempt.facts, **warned}})


def test_without_room_in_the_budget_for_two_the_next_machine_waits_for_the_end_of_the_first() -> None:
    ending = Ending(Reason.SPOT_INTERRUPTION, "EC2 takes it back.")

    together = decide(Situation(make_run(), [warned_and_training()], ending), NOW)
    alone = decide(Situation(make_run(), [warned_and_training()], ending, overlap_affordable=False), NOW)

    assert together.action is Action.LAUNCH
    assert (alone.action, alone.delay) == (Action.WAIT, timedelta(seconds=148))
    assert "budget" in alone.text


def test_a_machine_that_may_still_save_is_not_counted_among_those_without_progress() -> None:
    idle = [ended(number, Reason.SPOT_INTERRUPTION) for number in (1, 2)]
    ending = Ending(Reason.SPOT_INTERRUPTION, "EC2 takes it back.")

    decision = decide(Situation(make_run(), [*idle, warned_and_training(3)], ending), NOW)

    assert decision.action is Action.LAUNCH


def test_a_run_without_money_for_another_machine_waits_for_none() -> None:
    ending = Ending(Reason.SPOT_INTERRUPTION, "EC2 takes it back.")
    run = make_run(spec=make_spec(max_cost_usd=Decimal(10)), settled_usd=Decimal("9.99"))

    decision = decide(Situation(run, [warned_and_training()], ending, overlap_affordable=False), NOW)

    assert (decision.action, decision.reason) == (Action.CONCLUDE, Reason.BUDGET)
