"""Which checkpoints are offered to a new machine, and which attempts brought a run forward."""

from hypothesis import given
from hypothesis import strategies as st

from runctl.model.checkpoint import Manifest
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.policy.resume import attempts_with_progress, manifest_key, resume_points, written_by_its_machine
from tests.factories import RUN_ID, after, make_attempt, make_manifest

THIRD = AttemptNumber(3)


def test_the_newest_three_checkpoints_are_offered_newest_first() -> None:
    manifests = [make_manifest(1, step) for step in (100, 300, 200, 400)]

    points = resume_points(manifests, RUN_ID, THIRD)

    assert [point.step for point in points] == [400, 300, 200]


def test_checkpoints_of_other_runs_and_of_this_very_attempt_are_not_offered() -> None:
    own = make_manifest(1, 100)
    other = make_manifest(1, 900, run_id=RunId("r-other"))
    itself = make_manifest(3, 800)

    assert resume_points([other, own, itself], RUN_ID, THIRD) == (own,)


def test_of_two_checkpoints_of_the_same_moment_the_later_attempts_comes_first() -> None:
    first = make_manifest(1, 500, at=after(9))
    second = make_manifest(2, 400, at=after(9))

    assert resume_points([first, second], RUN_ID, THIRD) == (second, first)


def test_a_later_attempts_checkpoints_come_first_whatever_its_machines_clock_says() -> None:
    first = make_manifest(1, 500, at=after(900))
    second = make_manifest(2, 600, at=after(300))

    assert resume_points([first, second], RUN_ID, THIRD) == (second, first)


def test_an_attempt_made_progress_when_it_went_beyond_all_before() -> None:
    manifests = [
        make_manifest(1, 100),
        make_manifest(2, 90),
        make_manifest(3, 100),
        make_manifest(4, 50),
        make_manifest(4, 150),
    ]

    assert attempts_with_progress(manifests) == {1, 4}


def test_a_checkpoint_without_a_number_is_progress() -> None:
    assert attempts_with_progress([make_manifest(1, 100), make_manifest(2, None, at=after(200))]) == {1, 2}


def test_an_attempt_that_gets_no_further_than_the_run_it_resumed_made_no_progress() -> None:
    manifests = [make_manifest(1, 90), make_manifest(2, 100), make_manifest(3, 101)]

    assert attempts_with_progress(manifests, since=100) == {3}


def test_only_what_an_attempts_own_machine_wrote_is_its_checkpoint() -> None:
    own = make_manifest(1, 100)
    planted = make_manifest(1, 900, instance_id=InstanceId("i-0fedcba9876543210"))
    of_no_attempt = make_manifest(2, 800)

    assert written_by_its_machine([planted, own, of_no_attempt], [make_attempt(1)]) == (own,)


def test_a_manifest_lies_beside_the_files_that_it_lists() -> None:
    manifest = make_manifest(1, 100)

    folder = manifest.files[0].key.partition("files/")[0]
    assert manifest_key(manifest) == f"{folder}manifest.json"


manifests = st.lists(
    st.builds(make_manifest, st.integers(1, 5), st.none() | st.integers(0, 50), at=st.integers(0, 99).map(after))
)


@given(manifests)
def test_offered_checkpoints_are_ordered_few_and_of_earlier_attempts(found: list[Manifest]) -> None:
    points = resume_points(found, RUN_ID, THIRD)

    assert len(points) == min(3, sum(manifest.attempt < 3 for manifest in found))
    assert list(points) == sorted(points, key=lambda point: (point.attempt, point.saved_at), reverse=True)
    assert all(point.attempt < 3 for point in points)


@given(manifests)
def test_the_first_attempt_with_a_checkpoint_always_made_progress(found: list[Manifest]) -> None:
    progressed = attempts_with_progress(found)

    if found:
        assert min(manifest.attempt for manifest in found) in progressed


def test_late_checkpoint_of_an_earlier_attempt_stands_behind_all_of_the_one_that_followed() -> None:
    late = make_manifest(1, 900, at=after(9_000))
    second = make_manifest(2, 200, at=after(3_000))

    points = resume_points([late, second, make_manifest(1, 100, at=after(1_000))], RUN_ID, AttemptNumber(3))

    assert [(point.attempt, point.step) for point in points] == [(2, 200), (1, 900), (1, 100)]
