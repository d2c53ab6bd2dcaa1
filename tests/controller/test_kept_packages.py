"""What a new machine may install from: what an earlier attempt left, and nobody else's."""

from typing import Any

import pytest

from runctl.model.agent_event import EndedWhy
from runctl.model.checkpoint import CheckpointFile
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.names import State
from runctl.model.packages import PackagesListing
from runctl.model.run import ResumedFrom
from runctl.model.status import Reason, RunStatus
from runctl.policy.resume import manifest_key
from tests.controller.stages import get_ready, to_fence, to_preparing, to_training
from tests.factories import RUN_ID, make_attempt, make_manifest
from tests.fakes.state_machine import Execution
from tests.fakes.world import World

CONTENT = "c0" * 32
FIRST = RunId("r-1first000000")


def _leave(world: World, machine: InstanceId, number: int = 1, run_id: RunId = RUN_ID) -> None:
    """Let a machine have left its packages."""
    attempt = AttemptNumber(number)
    key = f"{world.packages.prefix_of(run_id, attempt, machine)}0000"
    file = CheckpointFile(path="0000", key=key, bytes=3, sha256=CONTENT)
    world.packages.left[machine] = PackagesListing(run_id=run_id, attempt=attempt, content=CONTENT, files=(file,))


def _offered(world: World) -> list[str]:
    kept = world.bucket.jobs[world.machine()].kept_packages
    return [] if kept is None else [file.url for file in kept.files]


def _next(world: World, execution: Execution) -> None:
    """Let the current machine be taken back, and the next one come up."""
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    assert execution.advance() is State.WAIT_FOR_SSM
    get_ready(world, execution)


def test_first_machine_is_told_where_to_leave_its_packages() -> None:
    world = World()

    to_preparing(world)

    handed = world.bucket.jobs[world.machine()]
    assert handed.packages_prefix == f"packages/AROAEXAMPLEEXAMPLE:{world.machine()}/{RUN_ID}/0001/"
    assert handed.kept_packages is None
    assert world.packages.asked == []


def test_next_machine_is_offered_what_the_one_before_it_left() -> None:
    world = World()
    execution = to_training(world)
    _leave(world, world.machine())

    _next(world, execution)

    (url,) = _offered(world)
    assert url.startswith(f"https://bucket.example/packages/AROAEXAMPLEEXAMPLE:{world.machine(1)}/{RUN_ID}/0001/")
    assert world.bucket.jobs[world.machine()].packages_prefix.endswith("/0002/")


def test_packages_of_the_first_machine_serve_the_third() -> None:
    world = World()
    execution = to_training(world)
    _leave(world, world.machine())
    _next(world, execution)

    _next(world, execution)

    assert f"{RUN_ID}/0001/" in _offered(world)[0]
    assert world.packages.asked[-2:] == [(RUN_ID, 2), (RUN_ID, 1)]


def test_machine_that_waits_at_its_fence_installs_from_what_was_left() -> None:
    """While the first machine still trains: its minutes are what the replacement must not lose."""
    world = World()
    world.packages.left.clear()
    original = world.packages.listing

    def listing(run_id: RunId, number: AttemptNumber, instance_id: InstanceId, **role: Any) -> PackagesListing | None:
        _leave(world, instance_id, number, run_id)
        return original(run_id, number, instance_id, **role)

    world.packages.listing = listing  # type: ignore[method-assign]

    to_fence(world)

    assert world.bucket.jobs[world.machine()].must_fence
    assert len(_offered(world)) == 1


@pytest.mark.parametrize(
    ("earlier", "offered"),
    [({}, 1), ({"user": "somebody-else"}, 0), ({"project": "another"}, 0)],
    ids=["own", "another person's", "another project's"],
)
def test_only_ones_own_earlier_run_is_installed_from(earlier: dict[str, Any], offered: int) -> None:
    world = World()
    before = world.submit(run_id=FIRST, **earlier)
    attempt = make_attempt(1, run_id=FIRST)
    begun = world.runs.begin_attempt(before, attempt)
    world.runs.save_run(begun.model_copy(update={"status": RunStatus.FAILED, "reason": Reason.USER_ERROR}))
    saved = make_manifest(1, 100, run_id=FIRST)
    world.bucket.saved.append(saved)
    assert attempt.instance_id is not None
    _leave(world, attempt.instance_id, run_id=FIRST)

    to_preparing(world, resumed_from=ResumedFrom(run_id=FIRST, checkpoint=manifest_key(saved)))

    assert len(_offered(world)) == offered
