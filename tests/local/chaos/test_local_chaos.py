"""A slice of the local chaos: a few runs and faults on real processes. The rest is `make chaos-local`."""

from pathlib import Path

import pytest

from tests.local.chaos.chaos import LocalChaos

pytestmark = pytest.mark.local_cloud


def test_runs_that_are_struck_leave_nothing_lose_nothing_and_say_what_happened(tmp_path: Path) -> None:
    outcome = LocalChaos(tmp_path / "project").run(runs=6, at_a_time=6, seed=5)

    assert outcome.wrong == []
    assert outcome.lost == []
    assert outcome.machines_left == []
    assert outcome.processes_left == []
    assert outcome.struck >= 3
