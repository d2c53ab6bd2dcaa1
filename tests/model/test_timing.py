"""The order of the clock limits is a safety property."""

from datetime import timedelta

from runctl.model import timing
from runctl.model.decision import ExecutionInput
from tests.factories import make_run


def test_controller_gives_up_before_the_machine_and_the_reaper_acts_last() -> None:
    assert timing.SPOT_NOTICE < timing.HEARTBEAT_TIMEOUT < timing.DEAD_MAN < timing.REAPER_GRACE


def test_several_heartbeats_fit_into_the_timeout() -> None:
    assert timing.HEARTBEAT_INTERVAL * 5 <= timing.HEARTBEAT_TIMEOUT


def test_a_machine_is_waited_for_longer_than_it_announces_itself() -> None:
    assert timing.READY_ANNOUNCED < timing.READY_TIMEOUT


def test_the_upload_reserve_fits_into_a_notice() -> None:
    assert timing.UPLOAD_RESERVE < timing.SPOT_NOTICE


def test_capacity_is_told_of_before_it_is_given_up() -> None:
    assert timing.CAPACITY_BACKOFF_START < timing.CAPACITY_BACKOFF_MAX
    assert timing.CAPACITY_TOLD_AFTER < timing.CAPACITY_TIMEOUT


def test_the_state_machine_lets_a_training_reach_its_own_deadline_and_save() -> None:
    longest_save = timedelta(hours=1)

    limit = timedelta(seconds=ExecutionInput.of(make_run()).train_timeout_s)

    assert limit >= timing.MAX_RUNTIME_LIMIT + timing.SETUP_ALLOWANCE + longest_save


def test_a_machine_that_drains_goes_by_itself_before_the_reapers_second_look() -> None:
    assert timing.SPOT_NOTICE + timing.POWER_OFF_DELAY < timing.REAPER_SECOND_LOOK < timing.REAPER_GRACE


def test_code_is_kept_for_longer_than_it_may_age_before_a_run_and_in_the_longest_one() -> None:
    longest = timedelta(days=30) + timedelta(days=7)  # max_runtime_s and capacity_timeout_s at their most

    assert timing.CODE_RENEWED_AFTER + 2 * longest < timing.CODE_KEPT
