"""`runctl aws create | train | monitor | status | wait | wait-ssm | start | stop | terminate`."""

from decimal import Decimal

import pytest

from runctl.model.ids import AttemptNumber, RunId
from runctl.model.keys import log_stream
from runctl.model.machine import MachineState
from runctl.model.run import PurchaseOption, Run
from runctl.model.status import Reason, RunStatus
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt

CREATION = "r-1hx3k7paaaaa"
LATER = "r-1hx3k7pbbbbb"
MACHINE = "i-00000000000000001"


@pytest.fixture(autouse=True)
def project(runctl: CommandLine) -> None:
    (runctl.folder / "train.py").write_text("print(1)\n")


def kept(
    runctl: CommandLine,
    state: MachineState = MachineState.RUNNING,
    *,
    option: PurchaseOption = PurchaseOption.ON_DEMAND,
    online: bool = True,
) -> None:
    """A machine that ada keeps; nothing trains on it."""
    run = a_run(CREATION, status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)
    spec = run.spec.model_copy(update={"keep_machine_s": 86_400})
    attempt = an_attempt(CREATION, reason=Reason.COMPLETED)
    runctl.deployment.add(run.model_copy(update={"spec": spec}), attempt)
    times = {"launched_at": attempt.launched_at, "changed_at": None if state is MachineState.RUNNING else NOW}
    runctl.deployment.machines.add(MACHINE, state, run_id=CREATION, purchase_option=option, **times)
    if online:
        runctl.deployment.machines.online.add(MACHINE)


def busy(runctl: CommandLine, **fields: object) -> Run:
    """A run that trains on it."""
    run = a_run(LATER, machine=MACHINE, **({"status": RunStatus.RUNNING} | fields))
    return runctl.deployment.add(run, an_attempt(LATER, launch=None))


def submitted(runctl: CommandLine) -> Run:
    (run,) = (run for run in runctl.deployment.runs.runs.values() if run.run_id not in (CREATION, LATER))
    return run


# -- create ----------------------------------------------------------------------------------------------------------


def test_create_submits_a_run_that_keeps_its_machine(runctl: CommandLine) -> None:
    answer = runctl("aws", "create", "t3.micro", "--spot", "--keep-for", "8h", "--disk", "50", "--name", "mine")

    run = submitted(runctl)
    assert answer.exit_code == 0, answer
    assert answer.stdout == f"{run.run_id}\n"
    assert (run.name, run.spec.keep_machine_s, run.spec.disk_gib) == ("mine", 8 * 3_600, 50)
    assert run.spec.purchase_option is PurchaseOption.SPOT
    assert "for at most 8 h" in answer.stderr
    assert run.estimated_usd is not None
    assert run.estimated_usd > 8 * Decimal("0.0036")


def test_create_that_waits_says_nothing_of_success_before_it_was_seen(runctl: CommandLine) -> None:
    runctl.deployment.runs.on_create = lambda run: runctl.deployment.add(
        run.model_copy(update={"status": RunStatus.FAILED, "reason": Reason.CAPACITY, "message": "No machines."})
    )

    answer = runctl("aws", "create", "t3.micro", "--wait")

    assert answer.exit_code == 4
    assert "ready" not in answer.stderr.replace("Waiting", "")
    assert "No machines." in answer.stderr


def test_create_that_waits_names_the_machine_and_what_to_do_with_it(runctl: CommandLine) -> None:
    def be_there(run: Run) -> None:
        ended = run.model_copy(update={"status": RunStatus.SUCCEEDED, "reason": Reason.COMPLETED})
        runctl.deployment.add(ended, an_attempt(run.run_id, purchase_option=PurchaseOption.ON_DEMAND))
        runctl.deployment.machines.add(MACHINE, run_id=run.run_id)

    runctl.deployment.runs.on_create = be_there

    answer = runctl("aws", "create", "t3.micro", "--wait")

    assert answer.exit_code == 0, answer
    assert answer.stdout == f"{MACHINE}\n"
    assert f"Created on-demand instance: {MACHINE}" in answer.stderr
    assert "Instance ready and SSM connected" in answer.stderr
    assert f"runctl aws train {MACHINE} SCRIPT" in answer.stderr
    assert "true" not in answer.stderr, "what the machine's own run does is of no interest"


def test_create_names_no_stop_for_a_spot_machine_which_ec2_does_not_stop(runctl: CommandLine) -> None:
    def be_there(run: Run) -> None:
        ended = run.model_copy(update={"status": RunStatus.SUCCEEDED, "reason": Reason.COMPLETED})
        runctl.deployment.add(ended, an_attempt(run.run_id, purchase_option=PurchaseOption.SPOT))
        runctl.deployment.machines.add(MACHINE, run_id=run.run_id, purchase_option=PurchaseOption.SPOT)

    runctl.deployment.runs.on_create = be_there

    answer = runctl("aws", "create", "t3.micro", "--spot", "--wait")

    assert f"Created spot instance: {MACHINE}" in answer.stderr
    assert f"runctl aws terminate {MACHINE}" in answer.stderr
    assert "aws stop" not in answer.stderr


@pytest.mark.parametrize(("there", "exit_code", "says"), [(49, 0, "49 machines already"), (50, 4, "the limit is 50")])
def test_create_notes_many_machines_and_refuses_too_many(
    runctl: CommandLine, there: int, exit_code: int, says: str
) -> None:
    for number in range(there):
        runctl.deployment.machines.add(f"i-{number:017x}")

    answer = runctl("aws", "create", "t3.micro")

    assert answer.exit_code == exit_code
    assert says in answer.stderr
    assert (runctl.deployment.made == 0) is (exit_code != 0)


def test_limit_of_machines_is_raised_in_the_configuration(runctl: CommandLine) -> None:
    (runctl.folder / ".runctl.toml").write_text("[machines]\nmost = 3\n")
    for number in range(3):
        runctl.deployment.machines.add(f"i-{number:017x}")

    refused = runctl("aws", "create", "t3.micro")
    runctl("config", "set", "machines.most", "4")

    assert "runctl config set machines.most 13" in refused.stderr
    assert runctl("aws", "create", "t3.micro").exit_code == 0


# -- train -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "args"),
    [
        (("--sync-code", "--script-args", "--epochs 3"), ("--epochs", "3")),
        (("--sync-code", "--", "--epochs", "1"), ("--epochs", "1")),
        (("--args=--fast",), ("--fast",)),
    ],
)
def test_train_runs_on_the_machine_with_the_scripts_arguments(
    runctl: CommandLine, words: tuple[str, ...], args: tuple[str, ...]
) -> None:
    kept(runctl)

    answer = runctl("aws", "train", MACHINE, "train.py", *words)

    run = submitted(runctl)
    assert answer.exit_code == 0, answer
    assert (run.machine, run.spec.script, run.spec.args) == (MACHINE, "train.py", args)
    assert run.spec.instance_types == ("t3.micro",)
    assert runctl.deployment.executions.started[run.run_id].instance_id == MACHINE


@pytest.mark.parametrize(
    ("state", "online", "says"),
    [
        (MachineState.STOPPED, False, f"runctl aws start {MACHINE}"),
        (MachineState.PENDING, False, f"runctl aws wait-ssm {MACHINE}"),
        (MachineState.RUNNING, False, "one to three minutes"),
    ],
)
def test_train_says_what_to_do_when_the_machine_is_not_ready(
    runctl: CommandLine, state: MachineState, online: bool, says: str
) -> None:
    kept(runctl, state, online=online)

    answer = runctl("aws", "train", MACHINE, "train.py")

    assert answer.exit_code == 4
    assert says in answer.stderr
    assert runctl.deployment.executions.started == {}


def test_train_refuses_a_machine_that_is_busy(runctl: CommandLine) -> None:
    kept(runctl)
    busy(runctl)

    answer = runctl("aws", "train", MACHINE, "train.py")

    assert answer.exit_code == 2
    assert f"busy with run {LATER}" in answer.stderr
    assert f"runctl wait {LATER}" in answer.stderr


# -- looking ---------------------------------------------------------------------------------------------------------


def test_status_says_whose_it_is_until_when_and_what_trains_on_it(runctl: CommandLine) -> None:
    kept(runctl)
    busy(runctl)

    data = runctl.json("aws", "status", MACHINE).data

    assert (data["state"], data["ssm_online"], data["owner"]) == ("running", True, "ada")
    assert (data["busy_with"], data["kept_until"]) == (LATER, "2026-11-25T09:25:00.000Z")
    assert "Kept until  2026-11-25 09:25:00 UTC (" in runctl("aws", "status", MACHINE).stdout


def test_status_says_what_it_costs(runctl: CommandLine) -> None:
    kept(runctl)

    data = runctl.json("aws", "status", MACHINE).data
    text = runctl("aws", "status", MACHINE).stdout

    assert data["usd_per_hour"] > data["cost_usd"] > 0
    assert " so far, $" in text
    assert "for its disk" not in text


def test_status_of_a_stopped_machine_says_what_its_disk_costs(runctl: CommandLine) -> None:
    kept(runctl, MachineState.STOPPED, online=False)

    data = runctl.json("aws", "status", MACHINE).data

    assert data["usd_per_hour"] == pytest.approx(100 * 0.08 / 730, abs=1e-6)
    text = runctl("aws", "status", MACHINE).stdout
    assert "an hour for its disk, while it is stopped" in text
    assert "SSM         does not answer while it is stopped" in text


def test_resources_show_a_stopped_machine_at_the_price_of_its_disk(runctl: CommandLine) -> None:
    kept(runctl, MachineState.STOPPED, online=False)

    (resource,) = runctl.json("resources", "cost").data["resources"]

    assert resource["usd_per_hour"] == pytest.approx(100 * 0.08 / 730, abs=1e-6)
    assert (resource["uptime_s"], resource["state"]) == (0, "stopped")


def test_wait_ssm_looks_until_ssm_answers(runctl: CommandLine) -> None:
    kept(runctl, online=False)
    runctl.deployment.slept_s = Sleeps(lambda: runctl.deployment.machines.online.add(MACHINE), after=3)

    answer = runctl("aws", "wait-ssm", MACHINE)

    assert answer.stdout == "Instance ready and SSM connected\n"
    assert len(runctl.deployment.slept_s) == 3


def test_wait_gives_up_after_ten_minutes_and_says_what_was_seen(runctl: CommandLine) -> None:
    kept(runctl, online=False)

    answer = runctl("aws", "wait-ssm", MACHINE)

    assert answer.exit_code == 4
    assert "it runs, but SSM does not answer" in answer.stderr
    assert "ready" not in answer.stdout


def test_wait_for_a_machine_that_is_stopped_ends_at_once(runctl: CommandLine) -> None:
    kept(runctl, MachineState.STOPPED, online=False)

    answer = runctl("aws", "wait", MACHINE)

    assert answer.exit_code == 4
    assert f"runctl aws start {MACHINE}" in answer.stderr


def test_machine_that_is_not_there_is_named(runctl: CommandLine) -> None:
    answer = runctl.json("aws", "status", "i-00000000000000009")

    assert answer.exit_code == 3
    assert "runctl resources list" in answer.error["hint"]


def test_monitor_follows_the_newest_run_and_lists_the_earlier_ones(runctl: CommandLine) -> None:
    kept(runctl)
    busy(runctl, status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)
    runctl.deployment.logs.streams[log_stream(RunId(LATER), AttemptNumber(1))] = ["epoch 1", "epoch 2"]

    followed, listed = runctl("aws", "monitor", MACHINE), runctl("aws", "monitor", MACHINE, "--list")

    assert followed.stdout == "epoch 1\nepoch 2\n"
    assert f"runctl logs {LATER}" in listed.stdout


@pytest.mark.parametrize(("online", "exit_code", "says"), [(False, 4, "wait-ssm"), (True, 3, "Nothing has trained")])
def test_monitor_before_any_training_says_what_to_do(
    runctl: CommandLine, online: bool, exit_code: int, says: str
) -> None:
    kept(runctl, online=online)

    answer = runctl("aws", "monitor", MACHINE)

    assert answer.exit_code == exit_code
    assert says in answer.stderr


# -- starting, stopping, ending --------------------------------------------------------------------------------------


def test_stop_and_start_and_terminate_ask_ec2(runctl: CommandLine) -> None:
    kept(runctl)

    runctl("aws", "stop", MACHINE)
    runctl.deployment.machines.add(MACHINE, MachineState.STOPPED, run_id=CREATION)
    runctl("aws", "start", MACHINE)
    runctl("aws", "terminate", MACHINE, "--yes")

    assert runctl.deployment.machines.asked == [("stop", MACHINE), ("start", MACHINE), ("terminate", MACHINE)]


def test_stop_of_a_spot_machine_is_refused_with_the_reason(runctl: CommandLine) -> None:
    kept(runctl, option=PurchaseOption.SPOT)

    answer = runctl("aws", "stop", MACHINE)

    assert answer.exit_code == 2
    assert "is a spot machine" in answer.stderr
    assert runctl.deployment.machines.asked == []


def ends_when_asked(runctl: CommandLine) -> None:
    """The run on the machine ends when it is asked to, three looks later."""

    def end() -> None:
        run = runctl.deployment.runs.runs[LATER]
        runctl.deployment.add(run.model_copy(update={"status": RunStatus.CANCELLED, "reason": Reason.CANCELLED}))
        runctl.deployment.runs.attempts_of[RunId(LATER)] = [an_attempt(LATER, launch=None, reason=Reason.CANCELLED)]

    runctl.deployment.slept_s = Sleeps(end, after=3)


def answers(monkeypatch: pytest.MonkeyPatch, yes: bool) -> list[str]:
    """Somebody answers the question, which is noted."""
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", lambda text, **_: asked.append(text) or yes)
    return asked


@pytest.mark.parametrize("words", [("stop",), ("terminate", "--yes")])
def test_a_run_that_trains_on_the_machine_saves_and_ends_before_the_machine_does(
    runctl: CommandLine, words: tuple[str, ...]
) -> None:
    kept(runctl)
    busy(runctl)
    ends_when_asked(runctl)
    before: list[tuple[str, str]] = []
    runctl.deployment.stopper.end = lambda _: before.extend(runctl.deployment.machines.asked)

    answer = runctl("aws", words[0], MACHINE, *words[1:])

    (command,) = runctl.deployment.stopper.commands
    assert answer.exit_code == 0, answer
    assert (command.run_id, command.now, command.requested_by) == (LATER, False, "ada")
    assert before == []
    assert len(runctl.deployment.slept_s) == 3
    assert runctl.deployment.machines.asked == [(words[0], MACHINE)]
    assert f"Run {LATER} (digits) of ada trains on {MACHINE}" in answer.stderr
    assert f"runctl resume {LATER}" in answer.stderr


def test_terminate_now_lets_nothing_be_saved(runctl: CommandLine) -> None:
    kept(runctl)
    busy(runctl)
    ends_when_asked(runctl)

    answer = runctl("aws", "terminate", MACHINE, "--now", "--yes")

    assert answer.exit_code == 0, answer
    assert [command.now for command in runctl.deployment.stopper.commands] == [True]
    assert "what is not yet saved is lost" in answer.stderr


def test_terminate_warns_in_its_question_when_a_training_is_alive(
    runctl: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(runctl)
    busy(runctl)
    asked = answers(monkeypatch, yes=False)

    answer = runctl("aws", "terminate", MACHINE)

    assert answer.exit_code == 2
    assert f"Run {LATER} (digits) of ada trains on {MACHINE}; it is asked to save and ends first." in asked[0]
    assert runctl.deployment.stopper.commands == []
    assert runctl.deployment.machines.asked == []


def test_terminate_without_a_terminal_warns_of_a_training_too(runctl: CommandLine) -> None:
    kept(runctl)
    busy(runctl)

    answer = runctl("aws", "terminate", MACHINE)

    assert answer.exit_code == 2
    assert f"Run {LATER} (digits) of ada trains on {MACHINE}" in answer.stderr
    assert runctl.deployment.stopper.commands == []


def test_a_machine_whose_run_does_not_end_is_left_as_it_is(runctl: CommandLine) -> None:
    kept(runctl)
    busy(runctl)

    answer = runctl("aws", "stop", MACHINE)

    assert answer.exit_code == 4
    assert f"runctl status {LATER}" in answer.stderr
    assert sum(runctl.deployment.slept_s) > 300
    assert runctl.deployment.machines.asked == []


def test_stop_of_a_runs_own_machine_is_refused_for_it_ends_with_its_run(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run(CREATION, status=RunStatus.RUNNING), an_attempt(CREATION))
    runctl.deployment.machines.add(MACHINE, run_id=CREATION, purchase_option=PurchaseOption.ON_DEMAND)

    answer = runctl("aws", "stop", MACHINE)

    assert answer.exit_code == 2
    assert f"runctl cancel {CREATION}" in answer.stderr
    assert runctl.deployment.stopper.commands == []


def test_start_is_refused_when_the_budget_has_no_room_for_it(runctl: CommandLine) -> None:
    kept(runctl, MachineState.STOPPED, online=False)
    runctl("budget", "set", "user:ada", "--period", "month", "--usd", "0.005")

    answer = runctl("aws", "start", MACHINE)

    assert answer.exit_code == 5
    assert "ada" in answer.stderr
    assert runctl.deployment.machines.asked == []


def test_start_with_room_in_the_budget_starts_it(runctl: CommandLine) -> None:
    kept(runctl, MachineState.STOPPED, online=False)
    runctl("budget", "set", "user:ada", "--period", "month", "--usd", "1")

    answer = runctl("aws", "start", MACHINE)

    assert answer.exit_code == 0, answer
    assert runctl.deployment.machines.asked == [("start", MACHINE)]


def test_terminate_asks_first(runctl: CommandLine) -> None:
    kept(runctl)

    answer = runctl("aws", "terminate", MACHINE)

    assert answer.exit_code == 2
    assert "--yes" in answer.stderr
    assert runctl.deployment.machines.asked == []


class Sleeps(list[float]):
    """Counts the waits; after so many something happens."""

    def __init__(self, happen: object, *, after: int) -> None:
        super().__init__()
        self._happen, self._after = happen, after

    def append(self, seconds: float) -> None:
        super().append(seconds)
        if len(self) == self._after:
            self._happen()  # type: ignore[operator]
