"""A run that goes on from an ended one: what its machines are offered, and what counts as progress."""

from typing import Any

from runctl.model.agent_event import EndedWhy
from runctl.model.checkpoint import Manifest
from runctl.model.ids import InstanceId, RunId
from runctl.model.names import State
from runctl.model.run import ResumedFrom
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy.resume import manifest_key
from tests.controller.stages import get_ready, reasons, start, to_preparing, to_training, train
from tests.factories import RUN_ID, after, make_attempt, make_manifest
from tests.fakes.world import World

FIRST = RunId("r-1first000000")
SECOND = RunId("r-2second00000")


def _ended(world: World, run_id: RunId, *steps: int, **fields: Any) -> list[Manifest]:
    """Put an ended run with one attempt and these checkpoints into the world."""
    run = world.submit(run_id=run_id, **fields)
    begun = world.runs.begin_attempt(run, make_attempt(1, run_id=run_id))
    world.runs.save_run(begun.model_copy(update={"status": RunStatus.CANCELLED, "reason": Reason.CANCELLED}))
    saved = [make_manifest(1, step, run_id=run_id, at=after(step)) for step in steps]
    world.bucket.saved += saved
    return saved


def _from(run_id: RunId, manifest: Manifest) -> ResumedFrom:
    return ResumedFrom(run_id=run_id, checkpoint=manifest_key(manifest), name=manifest.name, step=manifest.step)


def _offered(world: World) -> list[int | None]:
    return [point.step for point in world.bucket.jobs[world.machine()].resume_points]


def test_it_is_offered_the_checkpoints_of_the_run_that_it_goes_on_from_newest_first() -> None:
    world = World()
    saved = _ended(world, FIRST, 100, 200)

    to_preparing(world, resumed_from=_from(FIRST, saved[-1]))

    assert _offered(world) == [200, 100]
    (newest, _) = world.bucket.jobs[world.machine()].resume_points
    assert newest.manifest_key == manifest_key(saved[-1])
    assert newest.files[0].url.startswith("https://bucket.example/runs/r-1first000000/")


def test_a_checkpoint_that_was_chosen_is_the_newest_that_is_offered() -> None:
    world = World()
    saved = _ended(world, FIRST, 100, 200, 300)

    to_preparing(world, resumed_from=_from(FIRST, saved[1]))

    assert _offered(world) == [200, 100]


def test_its_own_checkpoints_come_before_inherited_ones() -> None:
    world = World()
    saved = _ended(world, FIRST, 100, 200)
    execution = to_training(world, resumed_from=_from(FIRST, saved[-1]))
    world.observe_agent(world.saves(240))

    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    assert execution.advance() is State.WAIT_FOR_SSM
    get_ready(world, execution)

    assert _offered(world) == [240, 200, 100]


def test_a_chain_is_followed_to_the_run_that_saved_something() -> None:
    world = World()
    saved = _ended(world, FIRST, 100, 200)
    _ended(world, SECOND, resumed_from=_from(FIRST, saved[0]))

    to_preparing(world, resumed_from=_from(SECOND, saved[0]))

    assert _offered(world) == [100]


def test_a_chain_that_leads_back_to_itself_ends() -> None:
    world = World()
    key = manifest_key(make_manifest(1, 100, run_id=FIRST))
    _ended(world, FIRST, resumed_from=ResumedFrom(run_id=FIRST, checkpoint=key))

    execution = start(world, resumed_from=ResumedFrom(run_id=FIRST, checkpoint=key))

    assert execution.advance() is State.WAIT_FOR_SSM


def test_what_another_machine_left_below_the_earlier_run_is_not_offered() -> None:
    world = World()
    saved = _ended(world, FIRST, 100)
    stranger = InstanceId("i-0fedcba9876543210")
    world.bucket.saved.append(make_manifest(1, 900, run_id=FIRST, instance_id=stranger))

    to_preparing(world, resumed_from=_from(FIRST, saved[0]))

    assert _offered(world) == [100]


def test_it_is_not_begun_from_nothing_when_the_checkpoint_is_gone() -> None:
    world = World()
    saved = _ended(world, FIRST, 100)
    world.bucket.saved.clear()
    execution = start(world, resumed_from=_from(FIRST, saved[0]))
    assert execution.advance() is State.WAIT_FOR_SSM
    world.clock.move(20)
    world.machines.boot(world.machine())
    world.commands.online.add(world.machine())
    world.observe_agent(world.says_ready())

    execution.advance()

    assert execution.status is ExecutionStatus.FAILED
    assert reasons(world) == [Reason.CHECKPOINT_MISSING]
    assert "step-100.npz of run r-1first000000 is not in the bucket any more" in world.run().message
    assert world.commands.verbs == []


def test_attempts_that_get_no_further_than_what_was_inherited_make_no_progress() -> None:
    world = World()
    saved = _ended(world, FIRST, 100, 200)
    execution = to_training(world, resumed_from=_from(FIRST, saved[-1]))
    for step in (150, 180):
        world.observe_agent(world.saves(step))
        world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
        assert execution.advance() is State.WAIT_FOR_SSM
        get_ready(world, execution)
        train(world)

    world.observe_agent(world.saves(190))
    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    execution.advance()

    assert world.run().reason is Reason.NO_PROGRESS


def test_people_are_told_which_runs_checkpoint_another_machine_goes_on_from() -> None:
    world = World()
    saved = _ended(world, FIRST, 200)
    execution = to_training(world, resumed_from=_from(FIRST, saved[0]))

    world.observe_agent(world.says_ended(EndedWhy.NOTICE, 75))
    execution.advance()

    told = [event.text for event in world.runs.events(RUN_ID) if event.kind is TimelineKind.RECOVERING]
    assert "resumes from step 200 of run r-1first000000" in told[0]
    assert world.run().resumed_from == _from(FIRST, saved[0])
    assert world.run(RUN_ID).attempt == 2
