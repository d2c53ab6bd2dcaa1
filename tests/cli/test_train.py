"""`runctl train`: what is launched, what is asked first, what is answered."""

import io
from decimal import Decimal
from pathlib import Path

import pytest

from runctl.errors import PermissionDenied
from runctl.model.ids import RunId
from runctl.model.run import PurchaseOption, Run
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineEvent, TimelineKind
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW


class _Terminal(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


def _run(runctl: CommandLine) -> Run:
    (run,) = runctl.deployment.runs.runs.values()
    return run


def _end_with(runctl: CommandLine, status: RunStatus, reason: Reason, message: str) -> None:
    """Let the run be over when it is first looked at."""
    real = runctl.deployment.runs.run

    def look(run_id: RunId) -> Run | None:
        run = real(run_id)
        return None if run is None else run.model_copy(update={"status": status, "reason": reason, "message": message})

    runctl.deployment.runs.run = look  # type: ignore[method-assign]


# -- what is launched ------------------------------------------------------------------------------------------------


def test_train_submits_the_run_and_answers_its_document(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--instance-type", "t3.micro", "--spot", "--", "--epochs", "3")

    run = _run(runctl)
    assert answer.exit_code == 0
    assert answer.document["command"] == "train"
    assert answer.document["ok"] is True
    assert answer.data["run_id"] == run.run_id
    assert run.spec.args == ("--epochs", "3")
    assert run.spec.purchase_option is PurchaseOption.SPOT
    assert list(runctl.deployment.executions.started) == [run.run_id]


def test_text_answer_is_the_run_id_alone_and_the_next_commands_name_it(runctl: CommandLine) -> None:
    answer = runctl("train", "train.py", "--instance-type", "t3.micro")

    run_id = _run(runctl).run_id
    assert answer.stdout == f"{run_id}\n"
    for command in (f"runctl status {run_id}", f"runctl logs {run_id} -f", f"runctl cancel {run_id}"):
        assert command in answer.stderr


def test_target_account_and_region_are_told_first(runctl: CommandLine) -> None:
    answer = runctl("train", "train.py", "--instance-type", "t3.micro")

    assert answer.stderr.splitlines()[0] == "Target local, account 123456789012, region us-east-1."


def test_flags_weigh_more_than_the_configuration(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text(
        '[project]\nname = "kites"\n[run]\ninstance_type = "g5.xlarge"\npurchase = "spot"\nretries = 2\n'
        'setup = "make file"\n'
        '[run.env]\nA = "file"\nB = "file"\n'
    )

    runctl(
        *(
            "train",
            "train.py",
            "--instance-type",
            "t3.micro",
            "--on-demand",
            "--retries",
            "5",
            "--max-runtime",
            "1h30m",
        ),
        *("--max-cost", "$2.50", "--capacity-timeout", "5s", "--env", "B=flag", "--env", "C=a=b", "--name", "try 7"),
        *("--setup", "make flags", "--disk", "300", "--instance-profile", "gpu"),
    )

    run = _run(runctl)
    assert (run.name, run.project) == ("try 7", "kites")
    assert run.spec.instance_types == ("t3.micro",)
    assert run.spec.purchase_option is PurchaseOption.ON_DEMAND
    assert (run.spec.setup, run.spec.disk_gib, run.spec.instance_profile) == ("make flags", 300, "gpu")
    assert (run.spec.retries, run.spec.max_runtime_s, run.spec.capacity_timeout_s) == (5, 5_400, 5)
    assert run.spec.max_cost_usd == Decimal("2.50")
    assert run.spec.environment == {"A": "file", "B": "flag", "C": "a=b"}


@pytest.mark.parametrize(
    ("configured", "typed", "chosen"),
    [("", [], "save"), ('on_notice = "stop"', [], "stop"), ('on_notice = "stop"', ["--on-notice", "save"], "save")],
)
def test_what_a_training_is_told_on_a_notice_is_chosen(
    runctl: CommandLine, project: Path, configured: str, typed: list[str], chosen: str
) -> None:
    (project / ".runctl.toml").write_text(f"[run]\n{configured}\n")

    runctl("train", "train.py", *typed)

    assert _run(runctl).spec.on_notice == chosen


def test_configuration_holds_where_no_flag_says_otherwise(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text(
        '[run]\ninstance_type = "t3.micro"\npurchase = "spot"\nkeep_checkpoints = 7\n'
        'setup = "make file"\ndisk_gib = 200\ninstance_profile = "gpu"\n'
    )

    runctl("train", "train.py")

    spec = _run(runctl).spec
    assert (spec.setup, spec.disk_gib, spec.instance_profile) == ("make file", 200, "gpu")
    assert (spec.instance_types, spec.purchase_option, spec.keep_checkpoints) == (
        ("t3.micro",),
        PurchaseOption.SPOT,
        7,
    )


@pytest.mark.parametrize(
    ("configured", "flags", "verified"),
    [
        ("", [], False),
        ("", ["--verify-checkpoints"], True),
        ("true", [], True),
        ("true", ["--no-verify-checkpoints"], False),
    ],
)
def test_checkpoints_are_verified_when_asked(
    runctl: CommandLine, project: Path, configured: str, flags: list[str], verified: bool
) -> None:
    if configured:
        (project / ".runctl.toml").write_text(f"[run]\nverify_checkpoints = {configured}\n")

    runctl("train", "train.py", *flags)

    assert _run(runctl).spec.verify_checkpoints is verified


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["--", "--epochs", "3"], ("--epochs", "3")),
        (["--script-args", "--epochs 3"], ("--epochs", "3")),
        (["--args=--fast"], ("--fast",)),
        (["--script-args", "--title 'a b'"], ("--title", "a b")),
        (["--", "--output", "json"], ("--output", "json")),
        ([], ()),
    ],
)
def test_script_gets_its_arguments(runctl: CommandLine, words: list[str], arguments: tuple[str, ...]) -> None:
    answer = runctl("train", "train.py", "--instance-type", "t3.micro", *words)

    assert _run(runctl).spec.args == arguments
    assert not answer.stdout.startswith("{")


def test_script_is_found_from_a_folder_inside_the_project(
    runctl: CommandLine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "training").mkdir()
    (project / "training/fit.py").write_text("print(1)\n")
    monkeypatch.chdir(project / "training")

    runctl("train", "fit.py", "--instance-type", "t3.micro")

    assert _run(runctl).spec.script == "training/fit.py"


def test_state_of_the_local_cloud_is_not_sent_wherever_it_lies(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('[local]\ndir = "cloud"\n')
    (project / "cloud").mkdir()
    (project / "cloud/objects").write_bytes(b"x" * 1_000)

    answer = runctl("train", "train.py", "--instance-type", "t3.micro")

    assert "Sent the project: 2 files" in answer.stderr


# -- what is asked first ---------------------------------------------------------------------------------------------


def test_without_a_terminal_a_dear_run_is_not_launched(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--instance-type", "g5.xlarge")

    assert answer.exit_code == 2
    assert answer.error["code"] == "declined"
    assert "$24.53" in answer.error["message"]
    assert "--yes" in answer.error["hint"]
    assert runctl.deployment.made == 0


def test_yes_launches_it(runctl: CommandLine) -> None:
    answer = runctl("train", "train.py", "--instance-type", "g5.xlarge", "--yes")

    assert answer.exit_code == 0
    assert runctl.deployment.made == 3


def test_run_of_unknown_price_is_asked_about(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--instance-type", "x9.huge")

    assert answer.exit_code == 2
    assert "price is not known" in answer.error["message"]


def test_limit_below_the_question_needs_no_question(runctl: CommandLine) -> None:
    answer = runctl("train", "train.py", "--instance-type", "g5.xlarge", "--max-cost", "4")

    assert answer.exit_code == 0


def test_a_limit_that_does_not_pay_for_saving_is_told_before_the_launch(runctl: CommandLine) -> None:
    small = runctl("train", "train.py", "--instance-type", "g5.xlarge", "--max-cost", "0.1", "--yes")
    enough = runctl("train", "train.py", "--instance-type", "g5.xlarge", "--max-cost", "1", "--yes")

    assert "$0.10 may be exceeded" in small.stderr
    assert "may be exceeded" not in enough.stderr


def test_machine_is_chosen_by_what_it_must_have(runctl: CommandLine) -> None:
    answer = runctl("train", "train.py", "--gpus", "1xa10g", "--yes")

    assert answer.exit_code == 0, answer
    assert _run(runctl).spec.instance_types == ("g5.xlarge",)
    assert "Machines that fit, the cheapest first: g5.xlarge." in answer.stderr


def test_needs_of_the_configuration_hold_until_a_type_is_named(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('[run]\ncpus = 2\nmemory = "4+"\n')
    (project / "run.yaml").write_text("script: train.py\ninstance_type: t3.micro\n")

    chosen = runctl.json("train", "train.py")
    named = runctl.json("train", "train.py", "--instance-type", "t3.micro")
    by_file = runctl.json("train", "-f", "run.yaml")

    types = [
        runctl.deployment.runs.runs[RunId(each.data["run_id"])].spec.instance_types for each in (chosen, named, by_file)
    ]
    assert types == [("t3.medium",), ("t3.micro",), ("t3.micro",)]


def test_named_and_chosen_at_once_is_refused(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--instance-type", "t3.micro", "--cpus", "8+")

    assert (answer.exit_code, answer.error["code"]) == (2, "usage")
    assert runctl.deployment.made == 0


def test_what_no_machine_has_is_refused_with_what_there_is(runctl: CommandLine) -> None:
    answer = runctl.json("estimate", "--gpus", "1xH100")

    assert (answer.exit_code, answer.error["code"]) == (2, "invalid_spec")
    assert "GPUs here: A10G" in answer.error["hint"]


def test_question_is_asked_above_the_configured_amount(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text("[confirm]\nabove_usd = 0.01\n")

    assert runctl("train", "train.py", "--instance-type", "t3.micro").exit_code == 2


@pytest.mark.parametrize(("typed", "exit_code", "made"), [("y\n", 0, 3), ("n\n", 2, 0), ("\n", 2, 0)])
def test_answer_at_the_terminal_decides(
    runctl: CommandLine, monkeypatch: pytest.MonkeyPatch, typed: str, exit_code: int, made: int
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(typed))

    answer = runctl("train", "train.py", "--instance-type", "g5.xlarge")

    assert answer.exit_code == exit_code
    assert runctl.deployment.made == made
    assert "Launch it although it may cost $24.53" in answer.stderr
    assert "Launch it" not in answer.stdout


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_waiting_returns_success(runctl: CommandLine) -> None:
    _end_with(runctl, RunStatus.SUCCEEDED, Reason.COMPLETED, "The training ended with exit code 0.")

    answer = runctl.json("train", "train.py", "--instance-type", "t3.micro", "--wait")

    assert answer.exit_code == 0
    assert answer.document["ok"] is True
    assert answer.data["status"] == "SUCCEEDED"


def test_workflow_waits_and_verifies_unless_told_otherwise(runctl: CommandLine) -> None:
    _end_with(runctl, RunStatus.SUCCEEDED, Reason.COMPLETED, "The training ended with exit code 0.")

    answer = runctl.json("workflow", "train", "train.py", "--instance-type", "t3.micro", "--", "--epochs", "3")

    run = _run(runctl)
    assert (answer.exit_code, answer.data["status"]) == (0, "SUCCEEDED")
    assert (run.spec.args, run.spec.verify_checkpoints) == (("--epochs", "3"), True)


def test_workflow_may_be_left_alone(runctl: CommandLine) -> None:
    answer = runctl.json(
        "workflow", "train", "train.py", "--instance-type", "t3.micro", "--detach", "--no-verify-checkpoints"
    )

    assert answer.data["status"] == "PENDING"
    assert _run(runctl).spec.verify_checkpoints is False


def test_waiting_tells_each_event_once_however_short_the_run_said_it(runctl: CommandLine) -> None:
    real = runctl.deployment.runs.run
    looks = iter([RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.SUCCEEDED])

    def look(run_id: RunId) -> Run | None:
        run = real(run_id)
        assert run is not None
        status = next(looks)
        runctl.deployment.runs.timeline.append(
            TimelineEvent(
                run_id=run_id, event_id=f"e{run.version}", at=NOW, kind=TimelineKind.TRAINING_STARTED, text="It began."
            )
        )
        reason = Reason.COMPLETED if status is RunStatus.SUCCEEDED else None
        seen = run.model_copy(update={"status": status, "reason": reason, "message": "Later words."})
        runctl.deployment.runs.runs[run_id] = seen.model_copy(update={"version": run.version + 1})
        return seen

    runctl.deployment.runs.run = look  # type: ignore[method-assign]

    answer = runctl("train", "train.py", "--instance-type", "t3.micro", "--wait")

    assert answer.exit_code == 0
    assert answer.stderr.count("training_started       It began.") == 3
    assert "Later words." not in answer.stderr


@pytest.mark.parametrize(
    ("status", "reason", "exit_code", "code"),
    [
        (RunStatus.FAILED, Reason.USER_ERROR, 1, "user_error"),
        (RunStatus.FAILED, Reason.CAPACITY, 4, "capacity"),
        (RunStatus.STOPPED, Reason.BUDGET, 5, "budget"),
        (RunStatus.CANCELLED, Reason.CANCELLED, 130, "cancelled"),
        (RunStatus.FAILED, Reason.CONTROLLER, 6, "controller"),
    ],
)
def test_waiting_returns_the_trainings_result(
    runctl: CommandLine, status: RunStatus, reason: Reason, exit_code: int, code: str
) -> None:
    _end_with(runctl, status, reason, "It ended: could not read the labels.")

    answer = runctl.json("train", "train.py", "--instance-type", "t3.micro", "--wait")

    assert answer.exit_code == exit_code
    assert answer.document["ok"] is False
    assert answer.data["reason"] == reason.value
    assert answer.error["code"] == code
    assert answer.error["message"] == "It ended: could not read the labels."
    assert f"runctl logs {answer.data['run_id']}" in answer.error["hint"]


def test_ctrl_c_lets_go_and_says_how_to_come_back(runctl: CommandLine) -> None:
    def interrupt(_: RunId) -> Run | None:
        raise KeyboardInterrupt

    runctl.deployment.runs.run = interrupt  # type: ignore[method-assign]

    answer = runctl.json("train", "train.py", "--instance-type", "t3.micro", "--wait")

    run = _run(runctl)
    assert answer.exit_code == 130
    assert answer.data["run_id"] == run.run_id
    assert f"runctl logs {run.run_id} -f" in answer.error["hint"]
    assert f"runctl cancel {run.run_id}" in answer.error["hint"]
    assert runctl.deployment.stopper.commands == []


def test_refused_start_is_told_and_ends_the_run(runctl: CommandLine) -> None:
    runctl.deployment.executions.refusal = PermissionDenied("states:StartExecution is not allowed", hint="Ask.")

    answer = runctl.json("train", "train.py", "--instance-type", "t3.micro")

    assert answer.exit_code == 4
    assert answer.error["code"] == "permission"
    assert _run(runctl).status is RunStatus.FAILED


def test_terminal_sees_the_bytes_of_the_project_go(
    runctl: CommandLine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(path.stat().st_size for path in project.iterdir())
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    runctl("train", "train.py")

    assert f"\r\x1b[KSending the project: {size} B of {size} B" in terminal.getvalue()


def test_profile_that_was_not_allowed_at_deployment_is_refused_before_anything_is_made(runctl: CommandLine) -> None:
    refused = runctl.json("train", "train.py", "--instance-profile", "admin")

    assert refused.exit_code == 4
    assert refused.error["code"] == "permission"
    assert "runctl deploy --allow-instance-profile admin" in refused.error["hint"]
    assert runctl.deployment.made == 0
