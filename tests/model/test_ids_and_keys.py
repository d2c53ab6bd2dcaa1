"""Run ids sort by time; keys stay inside what the machine role may touch."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runctl.model import keys
from runctl.model.base import iso
from runctl.model.ids import RUN_ID_PATTERN, AttemptNumber, InstanceId, RunId, new_run_id

# hypothesis takes naive bounds and adds the zone itself
MOMENTS = st.datetimes(
    min_value=datetime(2024, 1, 1),  # noqa: DTZ001
    max_value=datetime(2099, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(MOMENTS)
def test_a_run_id_has_its_pattern_and_fits_an_execution_name(moment: datetime) -> None:
    run_id = new_run_id(moment)

    assert RUN_ID_PATTERN.fullmatch(run_id)
    assert len(run_id) <= 80  # the limit of StartExecution's `name`


@given(MOMENTS, st.integers(min_value=1, max_value=10_000_000))
def test_run_ids_sort_by_the_second_of_their_creation(moment: datetime, seconds: int) -> None:
    assert new_run_id(moment) < new_run_id(moment + timedelta(seconds=seconds))


@given(MOMENTS, MOMENTS)
def test_written_times_sort_as_times_do(one: datetime, other: datetime) -> None:
    one, other = (moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in (one, other))

    assert (iso(one) < iso(other)) == (one < other)


def test_a_machine_writes_only_below_its_own_user_id() -> None:
    prefix = keys.attempt_prefix(RunId("r-1"), AttemptNumber(3), "AROAEXAMPLE", InstanceId("i-0abc"))

    assert prefix == "runs/r-1/attempts/0003/AROAEXAMPLE:i-0abc/"
    assert keys.handoff_key("AROAEXAMPLE", InstanceId("i-0abc")) == "handoff/AROAEXAMPLE:i-0abc/job.json"


def test_attempts_sort_by_number() -> None:
    assert keys.attempt_sort_key(AttemptNumber(9)) < keys.attempt_sort_key(AttemptNumber(10))
