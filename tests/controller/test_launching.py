"""Launch tries: written before the call, replayed unchanged, and a new one only after an answer."""

from datetime import timedelta

import pytest

from runctl.errors import (
    AwsError,
    AwsUnavailable,
    CapacityUnavailable,
    PermissionDenied,
    RunctlError,
    RunEnded,
    StopRequested,
    Throttled,
)
from runctl.model.decision import StepState
from runctl.model.ids import RunId
from runctl.model.machine import MachineState
from runctl.model.names import State
from runctl.model.run import PurchaseOption
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from tests.controller.stages import get_ready, start, to_training, to_wait_for_ssm
from tests.factories import RUN_ID, make_spec, make_stop_request
from tests.fakes.world import World

STATE = StepState(run_id=RUN_ID)


def admitted(world: World, **fields: object) -> World:
    """Submit and admit a run."""
    world.submit(**fields)
    world.admit_run(STATE)
    return world


def test_the_try_is_written_whole_before_the_call() -> None:
    world = admitted(World())
    world.machines.raises = [AwsUnavailable("The connection broke.")]

    with pytest.raises(AwsError):
        world.launch_machine(STATE)

    launch = world.attempt().launch
    assert launch is not None
    assert launch.answered_at is None
    assert launch.request == world.machines.requests[0]
    assert launch.client_token == launch.request["ClientToken"]


def test_a_try_without_an_answer_is_made_again_unchanged() -> None:
    world = admitted(World())
    world.machines.raises = [
        AwsUnavailable("The connection broke."),
        Throttled("slow down", aws_code="RequestLimitExceeded"),
    ]

    for _ in range(2):
        with pytest.raises(AwsError):
            world.launch_machine(STATE)
    world.launch_machine(STATE)

    first, second, third = world.machines.requests
    assert first == second == third
    assert len(world.machines.launched) == 1


def test_a_machine_whose_answer_was_lost_is_found_by_its_tag() -> None:
    world = admitted(World())
    world.machines.loses_answer = True
    with pytest.raises(AwsError):
        world.launch_machine(STATE)

    world.launch_machine(STATE)

    attempt = world.attempt()
    assert attempt.instance_id == world.machines.launched[0]
    assert (attempt.instance_type, attempt.image_id, attempt.availability_zone) == (
        "t3.micro",
        "ami-x86_64",
        "us-east-1a",
    )
    assert len(world.machines.requests) == 1
    assert len(world.machines.launched) == 1


def test_a_machine_that_the_tag_does_not_show_yet_is_answered_again_by_the_token() -> None:
    world = admitted(World())
    world.machines.loses_answer = True
    with pytest.raises(AwsError):
        world.launch_machine(STATE)
    world.machines.hides_tagged = True

    world.launch_machine(STATE)

    assert len(world.machines.launched) == 1
    assert world.attempt().instance_id == world.machines.launched[0]


def test_launching_twice_launches_one_machine() -> None:
    world = admitted(World())

    first = world.launch_machine(STATE)
    second = world.launch_machine(STATE)

    assert first == second
    assert len(world.machines.launched) == 1


def test_an_answer_without_a_machine_opens_a_try_with_a_token_of_its_own() -> None:
    world = admitted(World())
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
    with pytest.raises(CapacityUnavailable):
        world.launch_machine(STATE)
    world.machines.refusals.clear()

    world.launch_machine(STATE)

    first, second = world.machines.requests
    assert first["ClientToken"] != second["ClientToken"]
    launch = world.attempt().launch
    assert launch is not None
    assert launch.number == 2
    assert launch.answered_at is not None


def test_a_refusal_that_was_raised_is_an_answer_too() -> None:
    world = admitted(World())
    world.machines.raises = [CapacityUnavailable("none", aws_code="InsufficientInstanceCapacity")]
    with pytest.raises(CapacityUnavailable):
        world.launch_machine(STATE)

    world.launch_machine(STATE)

    assert world.machines.requests[0]["ClientToken"] != world.machines.requests[1]["ClientToken"]


def test_a_refusal_names_its_pools_in_the_timeline() -> None:
    world = admitted(World())
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"

    with pytest.raises(CapacityUnavailable):
        world.launch_machine(STATE)

    (event,) = [e for e in world.runs.events(RUN_ID) if e.kind is TimelineKind.LAUNCH_REFUSED]
    assert "spot t3.micro in us-east-1a: InsufficientInstanceCapacity" in event.text
    assert "spot t3.micro in us-east-1b: InsufficientInstanceCapacity" in event.text


def test_the_next_type_is_taken_when_the_first_has_no_capacity() -> None:
    world = World()
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"

    to_wait_for_ssm(world, spec=make_spec(instance_types=("t3.micro", "m7g.large")))

    attempt = world.attempt()
    assert (attempt.instance_type, attempt.image_id) == ("m7g.large", "ami-arm64")


def test_a_machine_on_demand_is_priced_as_one() -> None:
    world = World()

    to_wait_for_ssm(world, spec=make_spec(purchase_option=PurchaseOption.ON_DEMAND))

    attempt = world.attempt()
    assert attempt.purchase_option is PurchaseOption.ON_DEMAND
    assert attempt.price_usd_per_hour == attempt.on_demand_usd_per_hour == world.prices.on_demand


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        ("MaxSpotInstanceCountExceeded", Reason.QUOTA, RunStatus.FAILED),
        ("UnauthorizedOperation", Reason.PERMISSION, RunStatus.FAILED),
        ("InvalidAMIID.NotFound", Reason.INVALID_SPEC, RunStatus.FAILED),
        ("Unsupported", Reason.INVALID_SPEC, RunStatus.FAILED),
        ("NeverHeardOf", Reason.CONTROLLER, RunStatus.FAILED),
    ],
)
def test_a_refusal_that_waiting_does_not_help_ends_the_run_at_once(
    code: str, reason: Reason, status: RunStatus
) -> None:
    world = World()
    world.machines.refusals["t3.micro"] = code
    execution = start(world)

    execution.advance()

    assert (world.run().status, world.run().reason) == (status, reason)
    assert code in world.run().message
    assert len(world.machines.requests) == 1
    assert execution.state is State.RUN_FAILED


def test_an_unknown_type_is_the_specs_fault() -> None:
    world = World()
    execution = start(world, spec=make_spec(instance_types=("t9.nano",)))

    execution.advance()

    assert world.run().reason is Reason.INVALID_SPEC
    assert "t9.nano" in world.run().message


def test_throttling_is_tried_again_by_the_state_machine() -> None:
    world = World()
    world.machines.raises = [Throttled("slow down", aws_code="RequestLimitExceeded") for _ in range(3)]

    execution = to_wait_for_ssm(world)

    assert execution.retries == 3
    assert len({request["ClientToken"] for request in world.machines.requests}) == 1


# -- no capacity -------------------------------------------------------------------------------------------------


def test_no_capacity_until_the_deadline_fails_and_names_the_pools() -> None:
    world = World()
    world.machines.refusals["t3.micro"] = "InsufficientInstanceCapacity"
    execution = start(world, spec=make_spec(capacity_timeout_s=3_600))
    began = world.clock()

    while execution.advance() is State.WAIT_FOR_CAPACITY:
        assert world.run().capacity_wait is not None
        world.clock.move(1)

    run, attempt = world.run(), world.attempt()
    waited = world.clock() - began
    assert (run.status, run.reason) == (RunStatus.FAILED, Reason.CAPACITY)
    assert 3_600 <= waited.total_seconds() <= 3_602
    assert "spot t3.micro in us-east-1a: InsufficientInstanceCapacity" in run.message
    assert len(world.runs.attempts(RUN_ID)) == 1
    assert attempt.reason is Reason.CAPACITY
    assert run.capacity_wait is not None
    assert len(run.capacity_wait.refusals) == 2
    assert len(world.machines.requests) == 10  # after 15 s, 30 s, … 15 min, and the last one at the deadline


def test_a_run_waits_in_the_same_attempt_and_says_so_until_there_is_a_machine() -> None:
    world = World()
    world.machines.refusals["t3.micro"] = "UnfulfillableCapacity"
    execution = start(world)
    assert execution.advance() is State.WAIT_FOR_CAPACITY
    waiting = world.run()

    world.machines.refusals.clear()
    world.clock.move(15)
    assert execution.advance() is State.WAIT_FOR_SSM

    assert waiting.status is RunStatus.PROVISIONING
    assert waiting.message.startswith("AWS has no machine now; the next try is in 15 s. EC2 launched no machine.")
    assert waiting.capacity_wait is not None
    launched = world.run().capacity_wait
    assert launched is not None
    assert launched.next_try_at is None
    assert len(world.runs.attempts(RUN_ID)) == 1
    get_ready(world, execution)
    assert world.run().capacity_wait is None


def test_a_machine_that_dies_for_want_of_capacity_while_pending_is_waited_for_too() -> None:
    world = World()
    execution = to_wait_for_ssm(world)

    world.machines.go(world.machine(), "Server.InsufficientInstanceCapacity")
    world.observe_machine(world.state_change(world.machine()))
    assert execution.advance() is State.WAIT_FOR_CAPACITY
    world.clock.move(15)
    assert execution.advance() is State.WAIT_FOR_SSM

    assert [attempt.reason for attempt in world.runs.attempts(RUN_ID)] == [Reason.CAPACITY, None]
    assert len(world.machines.launched) == 2


def test_a_full_quota_waits_once_for_ones_own_machine_that_goes() -> None:
    world = World()
    execution = to_training(world)
    world.machines.refusals["t3.micro"] = "MaxSpotInstanceCountExceeded"
    world.machines.go(world.machine())
    world.observe_machine(world.state_change(world.machine()))

    assert execution.advance() is State.WAIT_FOR_CAPACITY
    world.clock.move(150)
    execution.advance()

    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.QUOTA)
    assert len(world.machines.requests) == 3


# -- races with the end of the run -------------------------------------------------------------------------------


def test_nothing_is_launched_for_a_run_that_was_asked_to_stop_or_has_ended() -> None:
    world = admitted(World())
    ended = admitted(World())
    ended.stop_run()
    world.runs.save_run(world.run().model_copy(update={"stop_request": make_stop_request()}))

    with pytest.raises(StopRequested):
        world.launch_machine(STATE)
    with pytest.raises(RunEnded):
        ended.launch_machine(STATE)

    assert world.machines.requests == ended.machines.requests == []


def test_a_machine_that_comes_when_the_run_has_just_ended_is_ended() -> None:
    world = admitted(World())

    def end_the_run(method: str) -> None:
        if method == "save_attempt" and world.machines.launched:
            world.runs.before = None
            run = world.run()
            world.runs.save_run(run.model_copy(update={"status": RunStatus.CANCELLED, "reason": Reason.CANCELLED}))

    world.runs.before = end_the_run
    with pytest.raises(RunEnded):
        world.launch_machine(STATE)

    assert world.machines.launched
    assert world.machines.alive == []


@pytest.mark.parametrize("error", [PermissionDenied("no", aws_code="UnauthorizedOperation"), AwsUnavailable("broken")])
def test_nothing_is_stored_as_launched_when_the_call_failed(error: RunctlError) -> None:
    world = admitted(World())
    world.machines.raises = [error]

    with pytest.raises(type(error)):
        world.launch_machine(STATE)

    assert world.attempt().instance_id is None
    assert TimelineKind.LAUNCHED not in world.timeline()


def test_two_runs_do_not_share_tokens_or_machines() -> None:
    world = World()
    other = RunId("r-1hqz5yk9abcd")
    to_wait_for_ssm(world)
    world.submit(run_id=other)
    world.admit_run(StepState(run_id=other))

    world.launch_machine(StepState(run_id=other))

    assert world.attempt().instance_id != world.attempt(run_id=other).instance_id


def test_a_lost_answer_costs_retries_and_no_second_machine() -> None:
    world = World()
    world.machines.loses_answer = True

    execution = to_wait_for_ssm(world)

    assert execution.retries == 1
    assert len(world.machines.launched) == 1


def test_a_machine_of_an_execution_that_is_stopped_during_the_launch_is_ended() -> None:
    world = World()
    execution = start(world)

    def stop_in_the_console() -> None:
        execution.abort()
        world.observe_execution(world.execution_event(ExecutionStatus.ABORTED))

    world.machines.during_create_fleet = stop_in_the_console
    execution.advance()

    assert world.run().status is RunStatus.CANCELLED
    assert len(world.machines.launched) == 1
    assert world.machines.alive == []


def test_machines_that_ec2_launches_and_lets_go_for_want_of_capacity_do_not_begin_the_wait_anew() -> None:
    world = World()
    execution = start(world, spec=make_spec(capacity_timeout_s=600))
    began = world.clock()

    for _ in range(40):
        if execution.advance() is not State.WAIT_FOR_SSM:
            break
        world.clock.move(5)
        world.machines.go(world.machine(), "Server.InsufficientInstanceCapacity", state=MachineState.TERMINATED)
        world.observe_machine(world.state_change(world.machine(), MachineState.TERMINATED))
        if execution.advance() is State.WAIT_FOR_CAPACITY and execution.deadline is not None:
            world.clock.at = execution.deadline

    assert (world.run().status, world.run().reason) == (RunStatus.FAILED, Reason.CAPACITY)
    assert world.clock() - began < timedelta(seconds=700)


def test_a_disk_of_ones_own_is_mapped_to_the_images_root_device() -> None:
    world = admitted(World(), spec=make_spec(disk_gib=500))

    world.launch_machine(STATE)

    (config,) = world.machines.requests[0]["LaunchTemplateConfigs"]
    for override in config["Overrides"]:
        (mapping,) = override["BlockDeviceMappings"]
        assert mapping["DeviceName"] == f"/dev/root-of-{override['ImageId']}"
        assert mapping["Ebs"]["VolumeSize"] == 500


def test_a_profile_that_was_not_allowed_launches_nothing() -> None:
    world = admitted(World(), spec=make_spec(instance_profile="admin"))

    with pytest.raises(PermissionDenied, match="instance profile admin"):
        world.launch_machine(STATE)

    assert world.machines.requests == []
    assert world.attempt().launch is None


def test_a_machine_of_another_profile_is_handed_over_where_its_role_reads() -> None:
    world = World()

    to_training(world, spec=make_spec(instance_profile="gpu"))

    assert world.attempt().role_id == "AROAGPU"
    assert world.bucket.roles == {world.machine(): "AROAGPU"}
    assert world.bucket.jobs[world.machine()].prefix.endswith(f"/AROAGPU:{world.machine()}/")
