"""A slice of the simulation: some hundreds of runs, and what makes it worth believing. The rest is `make chaos`."""

from collections.abc import Iterator

import pytest

from runctl.model.status import Reason
from tests.chaos.bugs import BUGS, Bug, find
from tests.chaos.faults import Faults, Weather
from tests.chaos.functions import quiet_handlers
from tests.chaos.story import Story, tell

STORIES = 250
QUICKLY = 300
"""Runs within which a planted bug is found here; `make chaos-bugs` plants them all."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let the functions log nothing."""
    with quiet_handlers():
        yield


def test_every_promise_is_kept_whatever_goes_wrong() -> None:
    results = [tell(seed) for seed in range(1, STORIES + 1)]

    assert [(result.seed, result.violation) for result in results if result.violation] == []
    assert sum(result.runs for result in results) > STORIES


def test_a_seed_tells_the_same_story_again() -> None:
    first, second = (tell(11, readable=True) for _ in range(2))

    assert first == second
    assert first.tale


def test_different_seeds_meet_different_faults_and_ends() -> None:
    results = [tell(seed) for seed in range(1, 60)]

    assert len({result.faults for result in results}) > 40
    assert len({reason for result in results for reason in result.reasons}) >= 5


def test_a_quiet_world_needs_few_transitions_and_ends_well() -> None:
    story = Story(1)
    story.weather.faults = Faults()

    result = story.happen()

    assert not result.violation
    assert {execution.status for execution in story.cloud.executions.known.values()} <= {"SUCCEEDED", "FAILED"}
    assert max(execution.transitions for execution in story.cloud.executions.known.values()) <= 12


@pytest.mark.parametrize("seed", range(1, 40))
def test_a_run_whose_money_is_used_up_in_a_quiet_world_saves_and_stops_within_the_bound(seed: int) -> None:
    story = Story(seed)
    story.weather.faults = Faults()

    result = story.happen()

    assert not result.violation


def test_some_runs_of_the_stories_use_up_their_money() -> None:
    reasons = [reason for seed in range(1, 60) for reason in tell(seed).reasons]

    assert reasons.count(Reason.BUDGET) > 1


def test_what_cannot_happen_draws_no_number() -> None:
    story = Story(1)
    before = story.chance.getstate()

    strikes = Weather(Faults(), story.chance).strikes("killed", 0.0)

    assert not strikes
    assert story.chance.getstate() == before


QUICKLY_FOUND = ("a conclusion ends no machine", "endings are classified by message text")


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in QUICKLY_FOUND], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_and_its_story_is_told(bug: Bug) -> None:
    result, _ = find(bug, limit=QUICKLY)

    assert result is not None
    assert result.violation
