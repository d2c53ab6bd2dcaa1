"""No order of facts and tokens loses a wake-up, and none wakes twice."""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import pytest

from runctl.errors import RunctlError, StaleWriteError
from runctl.model.attempt import Wait
from runctl.model.decision import StepState
from runctl.model.ids import TaskToken
from runctl.model.status import RunStatus
from tests.controller.stages import boot, start, to_preparing, to_wait_for_ssm
from tests.factories import RUN_ID
from tests.fakes.state_machine import Execution
from tests.fakes.world import World

Deed = Callable[["Scene"], None]
STATE = StepState(run_id=RUN_ID)
TOKEN = TaskToken("the token")


class Scene:
    """A world in front of a waiting state, and whether that state was woken: by its token, or by its step's error."""

    def __init__(self, wait: Wait, *, command_sent: bool = False) -> None:
        self.world = World()
        self.wait = wait
        self.step_errors: list[str] = []
        execution = to_wait_for_ssm(self.world) if wait is Wait.READY else to_preparing(self.world)
        self._forget(execution, command_sent=command_sent)

    def _forget(self, execution: Execution, *, command_sent: bool) -> None:
        """Go back to before the waiting state's step, which the tests call themselves.

        With `command_sent` an earlier invocation of the step has sent the command, and was then lost.
        """
        assert execution.token is not None
        self.world.tokens.expire(execution.token)
        attempt = self.world.attempt()
        tokens = {wait: token for wait, token in attempt.tokens.items() if wait is not self.wait}
        command_id = attempt.command_id if command_sent else None
        self.world.runs.save_attempt(
            attempt.model_copy(update={"tokens": tokens, "turn": "", "command_id": command_id})
        )
        if not command_sent:
            self.world.commands.sent.clear()
        boot(self.world)

    def enter(self) -> None:
        """The waiting state is entered: its step is called with the token."""
        self.world.tokens.hand_out(TOKEN)
        step = self.world.await_ready if self.wait is Wait.READY else self.world.start_training
        try:
            again(lambda: step(STATE, TOKEN))
        except RunctlError as error:
            self.step_errors.append(type(error).__name__)
            self.world.tokens.expire(TOKEN)

    @property
    def wake_ups(self) -> list[str]:
        """What woke the state: the name of an error, or `ok`."""
        answer = self.world.tokens.answers.get(TOKEN)
        return self.step_errors + ([] if answer is None else [answer.error or "ok"])


def again(call: Callable[[], Any]) -> Any:
    """Call again after a lost race, as Step Functions and Lambda do."""
    for _ in range(5):
        try:
            return call()
        except StaleWriteError:
            continue
    return call()


def ready(scene: Scene) -> None:
    scene.world.observe_agent(scene.world.says_ready())


def warned(scene: Scene) -> None:
    scene.world.observe_machine(scene.world.warning(scene.world.machine()))


def gone(scene: Scene) -> None:
    scene.world.machines.go(scene.world.machine())
    scene.world.observe_machine(scene.world.state_change(scene.world.machine()))


def killed(scene: Scene) -> None:
    scene.world.machines.go(scene.world.machine(), "Client.UserInitiatedShutdown")
    scene.world.observe_machine(scene.world.state_change(scene.world.machine()))


def stopped(scene: Scene) -> None:
    scene.world.stop_run()


def stopped_now(scene: Scene) -> None:
    scene.world.stop_run(now=True)


def started(scene: Scene) -> None:
    scene.world.observe_agent(scene.world.says_started())


def succeeded(scene: Scene) -> None:
    scene.world.observe_agent(scene.world.says_ended())


def failed(scene: Scene) -> None:
    scene.world.observe_agent(scene.world.says_ended(exit_code=3))


def command_failed(scene: Scene) -> None:
    scene.world.observe_command(scene.world.command_event(scene.world.machine(), "command-1"))


def entered(scene: Scene) -> None:
    scene.enter()


READY_SETS: list[tuple[Deed, ...]] = [
    (ready,),
    (warned,),
    (killed,),
    (stopped,),
    (ready, warned),
    (ready, killed),
    (ready, warned, gone),
    (ready, warned, stopped),
    (ready, warned, gone, stopped),
]
TRAIN_SETS: list[tuple[Deed, ...]] = [
    (succeeded,),
    (gone,),
    (command_failed,),
    (started, succeeded),
    (started, failed, killed),
    (started, warned, gone, succeeded),
    (started, command_failed, failed),
    (started, stopped, failed),
    (started, stopped_now, succeeded),
    (warned, stopped, gone),
]


def named(deeds: Sequence[Deed]) -> str:
    """Name a test by what happens in it."""
    return "-".join(deed.__name__ for deed in deeds)


@pytest.mark.parametrize("deeds", READY_SETS, ids=named)
def test_wait_for_ssm_is_woken_once_in_every_order(deeds: tuple[Deed, ...]) -> None:
    for order in permutations((*deeds, entered)):
        scene = Scene(Wait.READY)
        for deed in order:
            deed(scene)
        assert len(scene.wake_ups) == 1, (named(order), scene.wake_ups)


@pytest.mark.parametrize("command_sent", [False, True])
@pytest.mark.parametrize("deeds", TRAIN_SETS, ids=named)
def test_train_is_woken_once_in_every_order(deeds: tuple[Deed, ...], command_sent: bool) -> None:
    for order in permutations((*deeds, entered)):
        scene = Scene(Wait.TRAIN, command_sent=command_sent)
        for deed in order:
            deed(scene)
        assert len(scene.wake_ups) == 1, (named(order), scene.wake_ups)


@pytest.mark.parametrize("deeds", [*READY_SETS, *TRAIN_SETS], ids=named)
def test_every_event_told_twice_wakes_once(deeds: tuple[Deed, ...]) -> None:
    scene = Scene(Wait.READY if deeds in READY_SETS else Wait.TRAIN)
    scene.enter()

    for deed in (*deeds, *deeds, *reversed(deeds)):
        deed(scene)

    assert len(scene.wake_ups) == 1


@pytest.mark.parametrize(
    ("deeds", "expected"),
    [
        ((started, warned, gone, succeeded), {"ok", "SpotInterruption"}),
        ((started, failed, killed), {"UserError", "MachineLost"}),
        ((started, stopped, failed), {"UserError", "StopRequested"}),
        ((command_failed,), {"MachineNotReady"}),
    ],
)
def test_the_answer_is_one_that_a_fact_gives(deeds: tuple[Deed, ...], expected: set[str]) -> None:
    answers: set[str] = set()
    for order in permutations((*deeds, entered)):
        scene = Scene(Wait.TRAIN)
        for deed in order:
            deed(scene)
        answers.update(scene.wake_ups)

    assert answers == expected


# -- in the middle of each other ---------------------------------------------------------------------------------


def interrupt(scene: Scene, outer: Deed, inner: Deed, at: int) -> bool:
    """Let `inner` happen whole before the store's call number `at` within `outer`; tells whether it came to that."""
    calls = 0

    def before(method: str) -> None:
        nonlocal calls
        if calls == at:
            scene.world.runs.before = None
            inner(scene)
        calls += 1

    scene.world.runs.before = before
    again(lambda: outer(scene))
    interrupted = scene.world.runs.before is None
    scene.world.runs.before = None
    return interrupted


def all_interruptions(wait: Wait, outer: Deed, inner: Deed) -> int:
    """Try `inner` before each of the store's calls in `outer`; answers how many there were."""
    at = 0
    while True:
        scene = Scene(wait)
        if not interrupt(scene, outer, inner, at):
            return at
        assert len(scene.wake_ups) == 1, (wait, named((outer, inner)), at, scene.wake_ups)
        at += 1


@pytest.mark.parametrize("event", [ready, warned, gone, killed, stopped, stopped_now], ids=lambda deed: deed.__name__)
def test_an_event_in_the_middle_of_await_ready_wakes_it_once(event: Deed) -> None:
    assert all_interruptions(Wait.READY, entered, event) >= 6
    assert all_interruptions(Wait.READY, event, entered) >= 4


@pytest.mark.parametrize("event", [succeeded, failed, gone, killed, command_failed], ids=lambda deed: deed.__name__)
def test_an_event_in_the_middle_of_start_training_wakes_it_once(event: Deed) -> None:
    assert all_interruptions(Wait.TRAIN, entered, event) >= 6
    assert all_interruptions(Wait.TRAIN, event, entered) >= 4


def test_a_stop_in_the_middle_of_start_training_is_passed_on_or_ends_the_state() -> None:
    """Whichever is first: the state is failed by the request, or the agent is told to stop after it was started."""
    at = 0
    while True:
        world = World()
        execution = to_wait_for_ssm(world)
        boot(world)
        world.observe_agent(world.says_ready())
        calls = 0

        def before(method: str, world: World = world, at: int = at) -> None:
            nonlocal calls
            if calls == at:
                world.runs.before = None
                world.stop_run()
            calls += 1

        world.runs.before = before
        execution.advance()
        if world.runs.before is not None:
            break
        told = "stop" in world.commands.verbs and world.commands.verbs[0] == "start"
        assert told or world.run().status is RunStatus.CANCELLED, at
        assert not (world.machines.alive and world.run().status.is_terminal), at
        at += 1
    assert at >= 10


def test_a_cancelled_run_leaves_no_machine_wherever_the_cancel_comes_in_between() -> None:
    """From the submission to the wait for SSM, before each single call of the store."""
    at = 0
    while True:
        world = World()
        execution = start(world)
        calls = 0

        def before(method: str, world: World = world, at: int = at) -> None:
            nonlocal calls
            if calls == at:
                world.runs.before = None
                world.stop_run()
            calls += 1

        world.runs.before = before
        execution.advance()
        if world.runs.before is not None:
            break
        assert world.run().status is RunStatus.CANCELLED, at
        assert world.machines.alive == [], at
        at += 1
    assert at >= 15


# -- two invocations of a step at once -----------------------------------------------------------------------------


def test_an_invocation_that_outlives_its_retry_leaves_the_later_token_in_place() -> None:
    """The older one goes on whole before each of the store's calls of the newer one."""
    at = 0
    while True:
        scene = Scene(Wait.TRAIN)
        world = scene.world
        older, newer = TaskToken("older"), world.tokens.hand_out(TaskToken("newer"))
        calls = 0

        def before(method: str, world: World = world, at: int = at, older: TaskToken = older) -> None:
            nonlocal calls
            if calls == at:
                world.runs.before = None
                again(lambda: world.start_training(STATE, older, "2026-01-01#0000"))
            calls += 1

        world.runs.before = before
        again(lambda world=world, newer=newer: world.start_training(STATE, newer, "2026-01-01#0001"))
        is_last = world.runs.before is not None
        world.runs.before = None
        again(lambda world=world, older=older: world.start_training(STATE, older, "2026-01-01#0000"))

        assert world.attempt().tokens == {Wait.TRAIN: newer}, at
        assert world.bucket.jobs[world.machine()].task_token == newer, at
        world.observe_agent(world.says_ended())
        assert newer in world.tokens.answers, at
        if is_last:
            break
        at += 1
    assert at >= 6


def test_the_newer_invocation_in_the_middle_of_the_older_one_keeps_its_token_and_hand_off() -> None:
    at = 0
    while True:
        scene = Scene(Wait.TRAIN)
        world = scene.world
        older, newer = TaskToken("older"), world.tokens.hand_out(TaskToken("newer"))
        calls = 0

        def before(method: str, world: World = world, at: int = at, newer: TaskToken = newer) -> None:
            nonlocal calls
            if calls == at:
                world.runs.before = None
                again(lambda: world.start_training(STATE, newer, "2026-01-01#0001"))
            calls += 1

        world.runs.before = before
        again(lambda world=world, older=older: world.start_training(STATE, older, "2026-01-01#0000"))
        if world.runs.before is not None:
            break
        assert world.attempt().tokens == {Wait.TRAIN: newer}, at
        assert world.bucket.jobs[world.machine()].task_token == newer, at
        at += 1
    assert at >= 6
