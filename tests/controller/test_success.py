"""The success path, from the submission to the notification."""

from runctl.model.names import State
from runctl.model.service_events import ExecutionStatus
from runctl.model.status import Reason, RunStatus
from tests.controller.stages import to_training
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
