"""The success path, from the submission to the notification."""

from decimal import Decimal

import pytest

from runctl.controller.timeline import event_of_run
from runctl.errors import NotFoundError, RunEnded
from runctl.model.attempt import FactKind, Wait
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId, TaskToken
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import boot, start, to_preparing, to_training, to_wait_for_ssm, train
from tests.factories import RUN_ID, after, make_spec, make_stop_request
from tests.fakes.world import World


def test_a_run_goes_from_the_submission_to_success() -> None:
    world = World()
    execution = to_training(world)

    world.observe_agent(world.says_ended())
    execution.advance()

    run, attempt = world.run(), world.attempt()
    assert execution.status is ExecutionStatus.SUCCEEDED
    assert (run.status, run.reason, run.message) == (
        RunStatus.SUCCEEDED,
        Reason.COMPLETED,
        "The training ended with exit code 0.",
    )
    assert run.ended_at == world.clock()
    assert (attempt.reason, attempt.exit_code) == (Reason.COMPLETED, 0)
    assert execution.entered == [
        State.ADMIT_RUN,
        State.MACHINE_GIVEN,
        State.LAUNCH_MACHINE,
        State.WAIT_FOR_SSM,
        State.TRAIN,
        State.CONCLUDE_RUN,
        State.HOW_DID_IT_END,
        State.RUN_SUCCEEDED,
    ]


def test_the_status_follows_what_the_run_does() -> None:
    world = World()
    execution = start(world)
    seen = [world.run().status]

    world.admit_run(StepState(run_id=RUN_ID))
    seen.append(world.run().status)
    execution.advance()
    seen.append(world.run().status)
    boot(world)
    world.observe_agent(world.says_ready())
    execution.advance()
    seen.append(world.run().status)
    world.observe_agent(world.says_started())
    seen.append(world.run().status)

    assert seen == [
        RunStatus.PENDING,
        RunStatus.PROVISIONING,
        RunStatus.WAITING_FOR_SSM,
        RunStatus.PREPARING,
        RunStatus.RUNNING,
    ]


def test_a_project_that_arrived_whole_is_told_when_the_training_starts() -> None:
    world = World()
    to_preparing(world)

    train(world, code_files=3)

    assert world.run().message.startswith("Code sync verified: script and directories found (3 files). The training")


def test_the_timeline_tells_what_happened_in_order() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.saves(100))
    world.clock.move(1)
    world.observe_agent(world.says_ended())
    world.clock.move(1)
    execution.advance()

    assert world.timeline() == [
        TimelineKind.ADMITTED,
        TimelineKind.LAUNCHED,
        TimelineKind.READY,
        TimelineKind.COMMAND_SENT,
        TimelineKind.TRAINING_STARTED,
        TimelineKind.CHECKPOINT_SAVED,
        TimelineKind.TRAINING_ENDED,
        TimelineKind.ATTEMPT_ENDED,
        TimelineKind.CONCLUDED,
        TimelineKind.NOTIFIED,
    ]


def test_nothing_is_left_and_people_are_told_once() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())

    execution.advance()
    world.conclude_run(StepState(run_id=RUN_ID, training={}))

    assert world.machines.alive == []
    assert world.bucket.jobs == {}
    assert [subject for subject, _ in world.notifications.sent] == ["runctl: digits SUCCEEDED"]
    assert "It cost $" in world.notifications.sent[0][1]


def test_writes_do_not_grow_with_the_training_but_for_events() -> None:
    short, long = World(), World()
    for world, hours in ((short, 1), (long, 20)):
        execution = to_training(world)
        world.clock.move(3_600 * hours)
        world.observe_agent(world.says_ended())
        execution.advance()

    assert short.runs.writes == long.runs.writes


# -- admission ---------------------------------------------------------------------------------------------------


def test_admitting_twice_makes_one_attempt_with_one_secret() -> None:
    world = World()
    world.submit()
    state = StepState(run_id=RUN_ID)

    first = world.admit_run(state)
    secret = world.attempt().secret
    second = world.admit_run(state)

    assert first == second
    assert world.attempt().secret == secret
    assert len(secret) == 64


def test_a_run_that_has_ended_is_not_admitted_again() -> None:
    world = World()
    world.submit(status=RunStatus.FAILED)

    with pytest.raises(RunEnded):
        world.admit_run(StepState(run_id=RUN_ID))


def test_a_run_that_nobody_wrote_is_an_error() -> None:
    with pytest.raises(NotFoundError):
        World().admit_run(StepState(run_id=RUN_ID))


# -- the hand-off ------------------------------------------------------------------------------------------------


def test_the_hand_off_holds_all_that_the_agent_may_know() -> None:
    world = World()
    execution = to_preparing(world, spec=make_spec(args=("--epochs", "3"), environment={"SEED": "7"}, save_limit_s=90))

    job = world.bucket.jobs[world.machine()]

    attempt = world.attempt()
    assert (job.run_id, job.attempt, job.instance_id) == (RUN_ID, 1, world.machine())
    assert (job.task_token, job.secret) == (execution.token, attempt.secret)
    assert (job.bucket, job.bus_name, job.region) == ("the-bucket", "the-bus", "us-east-1")
    assert (job.log_group, job.log_stream) == ("/runctl/machines", f"{RUN_ID}/0001")
    assert job.metrics_stream == f"{RUN_ID}/0001/metrics"
    assert job.prefix == world.bucket.prefix_of(RUN_ID, attempt.number, world.machine())
    assert (job.script, job.args, job.environment) == ("train.py", ("--epochs", "3"), {"SEED": "7"})
    assert (job.max_runtime_s, job.save_limit_s, job.heartbeat_interval_s, job.dead_man_s) == (86_400, 90, 60, 1_800)
    assert job.resume_points == ()


def test_the_command_carries_run_and_attempt_only() -> None:
    world = World()
    to_preparing(world)

    ((instance_id, script),) = world.commands.sent

    assert instance_id == world.machine()
    assert script == f'"${{RUNCTL_ROOT:-/opt/runctl}}/agent/current/bin/runctl-agent" start {RUN_ID} 1'


def test_the_step_tried_again_replaces_token_and_hand_off_and_sends_no_second_command() -> None:
    world = World()
    to_preparing(world)
    state = StepState(run_id=RUN_ID)

    again = world.tokens.hand_out(TaskToken("a second token"))
    world.start_training(state, again, "9")

    assert world.bucket.jobs[world.machine()].task_token == again
    assert world.attempt().tokens[Wait.TRAIN] == again
    assert world.commands.verbs == ["start"]


def test_the_step_tried_again_does_not_turn_a_running_training_back() -> None:
    world = World()
    to_training(world)

    world.start_training(StepState(run_id=RUN_ID), world.tokens.hand_out(TaskToken("a second token")), "9")

    assert world.run().status is RunStatus.RUNNING


def test_the_step_tried_again_passes_on_a_stop_that_waited() -> None:
    world = World()
    to_training(world)
    world.runs.request_stop(
        RUN_ID, make_stop_request(), event_of_run(RUN_ID, TimelineKind.STOP_REQUESTED, world.clock(), "Stop.")
    )

    world.start_training(StepState(run_id=RUN_ID), world.tokens.hand_out(TaskToken("a second token")), "9")

    assert world.commands.verbs == ["start", "stop"]


# -- a machine that was given ------------------------------------------------------------------------------------


def test_a_given_machine_is_used_described_and_left_running() -> None:
    world = World()
    given = given_machine(world)
    execution = start(world, machine=given)
    execution.advance()
    world.observe_agent(world.says_started())
    world.observe_agent(world.says_ended())
    execution.advance()

    attempt = world.attempt()
    assert State.LAUNCH_MACHINE not in execution.entered
    assert world.run().status is RunStatus.SUCCEEDED
    assert (attempt.instance_type, attempt.availability_zone) == ("m5.large", "us-east-1b")
    assert world.machines.alive == [given]
    assert world.machines.terminated == []


def test_now_on_a_given_machine_ends_the_training_and_not_the_machine() -> None:
    world = World()
    given = given_machine(world)
    execution = start(world, machine=given)
    execution.advance()
    world.observe_agent(world.says_started())

    world.stop_run(now=True)

    assert world.commands.verbs == ["start", "stop --now"]
    assert world.machines.alive == [given]


def given_machine(world: World) -> InstanceId:
    """A machine of the user's own, running and reachable."""
    given = InstanceId("i-0000000000000aaaa")
    world.machines.add(
        MachineView(
            instance_id=given,
            state=MachineState.RUNNING,
            instance_type="m5.large",
            availability_zone="us-east-1b",
            launched_at=after(-9_000),
        )
    )
    world.commands.online.add(given)
    return given


# -- prices ------------------------------------------------------------------------------------------------------


def test_the_attempt_keeps_what_its_machine_is_and_costs() -> None:
    world = World()
    to_wait_for_ssm(world)

    attempt = world.attempt()

    assert (attempt.instance_type, attempt.availability_zone, attempt.image_id) == (
        "t3.micro",
        "us-east-1a",
        "ami-x86_64",
    )
    assert (attempt.price_usd_per_hour, attempt.on_demand_usd_per_hour) == (Decimal("0.04"), Decimal("0.10"))
    assert attempt.launched_at == world.clock()


def test_an_unknown_price_stays_unknown() -> None:
    world = World()
    world.prices.spot = None

    to_wait_for_ssm(world)

    assert world.attempt().price_usd_per_hour is None


def test_charging_ends_when_ec2_says_that_the_machine_is_going() -> None:
    world = World()
    execution = to_training(world)
    world.observe_agent(world.says_ended())
    execution.advance()
    world.clock.move(3)

    world.observe_machine(world.state_change(world.machine()))

    attempt = world.attempt()
    assert attempt.gone_at == world.clock()
    assert FactKind.GONE in attempt.facts
    assert world.run().status is RunStatus.SUCCEEDED
