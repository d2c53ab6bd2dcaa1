"""The checklist: one test a row, which does what the row says or names the tests that do."""

import ast
from functools import cache
from pathlib import Path

import pytest

from runctl.model.ids import AttemptNumber
from runctl.model.machine import MachineState
from runctl.model.status import Reason, RunStatus
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt

TESTS = Path(__file__).parents[1]
MACHINE = "i-00000000000000001"
CREATION = "r-1hx3k7paaaaa"


@cache
def _names_in(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))


def shown_by(*tests: str) -> None:
    """See that these tests are there: `cli/test_init.py::test_…`, below the folder of tests."""
    for test in tests:
        file, _, name = test.partition("::")
        assert name in _names_in(TESTS / file), f"{test} is not there"


def kept_machine(runctl: CommandLine, state: MachineState = MachineState.RUNNING, *, online: bool = True) -> None:
    run = a_run(CREATION, status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)
    spec = run.spec.model_copy(update={"keep_machine_s": 86_400})
    runctl.deployment.add(run.model_copy(update={"spec": spec}), an_attempt(CREATION))
    runctl.deployment.machines.add(MACHINE, state, run_id=CREATION)
    if online:
        runctl.deployment.machines.online.add(MACHINE)


def test_a_test_that_is_not_there_would_be_found() -> None:
    with pytest.raises(AssertionError, match="test_nothing"):
        shown_by("cli/test_init.py::test_nothing")


# -- configuration, errors, arguments --------------------------------------------------------------------------------


def test_row_1_init_has_no_flag_that_clashes_with_a_global_one(runctl: CommandLine, tmp_path: Path) -> None:
    (runctl.folder / ".runctl.toml").unlink()

    first = runctl.json("init")
    again = runctl("init")
    elsewhere = runctl("init", "--config-path", str(tmp_path / "other.toml"))
    forced = runctl("init", "--force")

    text = (runctl.folder / ".runctl.toml").read_text()
    assert (first.exit_code, again.exit_code, elsewhere.exit_code, forced.exit_code) == (0, 2, 0, 0)
    assert all(f"[{section}]" in text for section in ("project", "aws", "run", "sync", "logs", "confirm"))
    shown_by("cli/test_contract.py::test_no_flag_of_a_command_shadows_a_global_one")


def test_row_2_each_error_of_aws_has_its_own_sentence() -> None:
    shown_by(
        "policy/test_refusals.py::test_refusals_become_one_error",
        "policy/test_refusals.py::test_the_message_names_the_pools_and_what_aws_said",
        "policy/test_refusals.py::test_every_kind_of_code_is_named_after_a_class_of_errors",
        "cli/test_contract.py::test_every_error_code_is_explained",
    )


@pytest.mark.parametrize(
    ("words", "args"),
    [
        (["--", "--epochs", "3"], ("--epochs", "3")),
        (["--script-args", "--epochs 3"], ("--epochs", "3")),
        (["--script-args", "--fast"], ("--fast",)),
        (["--args=--fast"], ("--fast",)),
        (["--args", "--title 'a b'"], ("--title", "a b")),
    ],
    ids=" ".join,
)
def test_rows_3_to_6_arguments_are_given_in_every_way_that_was_tried(
    runctl: CommandLine, words: list[str], args: tuple[str, ...]
) -> None:
    answer = runctl("train", "train.py", *words)

    (run,) = runctl.deployment.runs.runs.values()
    assert answer.exit_code == 0, answer
    assert run.spec.args == args


def test_rows_3_to_6_arguments_given_twice_are_an_error(runctl: CommandLine) -> None:
    answer = runctl("train", "train.py", "--script-args", "--epochs 3", "--", "--epochs", "4")

    assert answer.exit_code == 2
    shown_by("cli/test_contract.py::test_help_of_every_command_shows_an_example")


# -- readiness, endings ----------------------------------------------------------------------------------------------


def test_rows_7_to_10_monitor_before_readiness_says_how_long_it_takes_and_waits_if_asked(runctl: CommandLine) -> None:
    kept_machine(runctl, online=False)

    answer = runctl("aws", "monitor", MACHINE)
    runctl.deployment.machines.online.add(MACHINE)
    waited = runctl("aws", "monitor", MACHINE, "--wait")

    assert answer.exit_code == 4
    assert "one to three minutes" in answer.stderr
    assert "Nothing has trained on" in waited.stderr
    shown_by(
        "cli/test_aws.py::test_create_that_waits_says_nothing_of_success_before_it_was_seen",
        "cli/test_aws.py::test_wait_ssm_looks_until_ssm_answers",
    )


def test_rows_11_to_13_and_59_to_64_what_fails_is_told_and_resumed() -> None:
    shown_by(
        "local/runs/test_endings.py::test_exit_code_3_is_the_users_failure_with_the_last_log_lines",
        "local/runs/test_interruptions.py::test_interrupted_training_saves_and_resumes_on_another_machine",
        "local/runs/test_resuming.py::test_cancelled_run_is_resumed_from_its_checkpoint_and_its_results_are_fetched",
        "local/checklist/test_commands.py::test_workflow_goes_on_from_what_an_ended_run_saved",
    )


def test_rows_14_to_16_52_to_54_and_71_money_is_estimated_asked_about_limited_and_told() -> None:
    shown_by(
        "cli/test_money.py::test_resources_show_each_machine_with_what_it_costs",
        "cli/test_money.py::test_the_summary_counts_machines_and_money",
        "cli/test_train.py::test_without_a_terminal_a_dear_run_is_not_launched",
        "cli/test_train.py::test_yes_launches_it",
        "cli/test_budget.py::test_a_budget_is_set_and_shown",
        "local/runs/test_limits.py::test_a_run_saves_and_stops_before_its_money_is_used_up",
        "controller/test_digest.py::test_people_are_told_of_yesterday_and_the_page_is_kept",
        "controller/test_digest.py::test_a_week_holds_the_seven_days_before_today",
    )


def test_rows_17_and_18_a_machine_is_looked_at_without_creating_one(runctl: CommandLine) -> None:
    kept_machine(runctl)

    waited, status = runctl("aws", "wait", MACHINE), runctl("aws", "status", MACHINE)

    assert (waited.exit_code, status.exit_code) == (0, 0)
    assert "running" in status.stdout


def test_rows_19_to_22_and_39_the_exit_code_is_recorded_by_the_machine() -> None:
    shown_by("local/runs/test_endings.py::test_exit_code_3_is_the_users_failure_with_the_last_log_lines")


def test_rows_23_to_27_and_41_there_is_a_template_that_goes_through_an_interruption() -> None:
    shown_by(
        "training/test_scripts.py::test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit",
        "training/test_scripts.py::test_a_training_that_is_killed_leaves_whole_checkpoints_only",
    )
    assert "template.py" in (TESTS.parent / "docs" / "training-scripts.md").read_text()


@pytest.mark.parametrize("words", [("train", "train.py"), ("aws", "train", MACHINE, "train.py")], ids=" ".join)
def test_rows_28_to_31_and_40_checkpoints_are_verified_when_asked(runctl: CommandLine, words: tuple[str, ...]) -> None:
    kept_machine(runctl)

    answer = runctl(*words, "--verify-checkpoints")

    run = next(run for run in runctl.deployment.runs.runs.values() if run.run_id != CREATION)
    assert answer.exit_code == 0, answer
    assert run.spec.verify_checkpoints
    shown_by(
        "local/runs/test_endings.py::test_training_that_owes_a_checkpoint_and_leaves_none_has_failed",
        "local/runs/test_endings.py::test_training_that_leaves_no_checkpoint_succeeds_with_a_warning",
    )


# -- logs ------------------------------------------------------------------------------------------------------------


def test_rows_32_to_34_and_42_logs_lie_where_they_are_told_to(runctl: CommandLine, tmp_path: Path) -> None:
    run = runctl.deployment.add(a_run(), an_attempt())
    runctl.deployment.logs.streams[f"{run.run_id}/0001"] = ["hello"]
    (runctl.folder / ".runctl.toml").write_text(f'target = "local"\n[logs]\ndir = "{tmp_path / "configured"}"\n')

    by_setting = runctl("logs", run.run_id)
    by_flag = runctl("logs", run.run_id, "--log-dir", str(tmp_path / "flag"))

    assert (by_setting.exit_code, by_flag.exit_code) == (0, 0)
    for folder in ("configured", "flag"):
        (file,) = (path for path in (tmp_path / folder).rglob("*") if path.is_file())
        assert "hello" in file.read_text()


def test_rows_35_to_38_each_run_and_attempt_has_a_log_that_stays(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run(attempt=AttemptNumber(2)), an_attempt(number=1), an_attempt(number=2))
    for number in (1, 2):
        runctl.deployment.logs.streams[f"{run.run_id}/000{number}"] = [f"attempt {number}"]

    first, second = (runctl("logs", run.run_id, "--attempt", str(number)) for number in (1, 2))

    assert "attempt 1" in first.stdout
    assert "attempt 2" in second.stdout
    shown_by("cli/test_aws.py::test_monitor_follows_the_newest_run_and_lists_the_earlier_ones")


# -- guidance, progress, workflow --------------------------------------------------------------------------------


def test_rows_43_to_45_and_68_errors_and_successes_say_what_is_next(runctl: CommandLine) -> None:
    error = runctl.json("status", "r-1hx3k7pzzzzz").error
    success = runctl("train", "train.py")

    assert all(error[part] for part in ("code", "message", "hint", "docs"))
    assert f"runctl status {success.stdout.strip()}" in success.stderr


def test_rows_46_to_48_and_69_progress_is_shown_as_the_terminal_can() -> None:
    shown_by(
        "cli/test_byte_progress.py::test_terminal_sees_how_much_was_sent_and_the_line_is_cleared_at_the_end",
        "cli/test_byte_progress.py::test_file_gets_a_line_now_and_then_and_none_of_a_short_transfer",
        "cli/test_watch.py::test_screen_is_another_one_and_goes_with_the_run",
    )


def test_rows_49_to_51_and_70_workflow_trains_resumes_and_cleans_up() -> None:
    shown_by(
        "cli/test_train.py::test_workflow_waits_and_verifies_unless_told_otherwise",
        "cli/test_resume.py::test_workflow_resume_is_the_same_command",
        "cli/test_tidying.py::test_cleanup_is_a_dry_run_where_nobody_can_be_asked",
        "cli/test_tidying.py::test_cleanup_ends_what_it_has_shown",
        "cli/test_runs.py::test_failed_run_says_what_was_kept_and_what_was_ended",
        "local/checklist/test_commands.py::test_workflow_trains_from_the_estimate_to_the_machines_end",
    )


def test_rows_55_to_57_a_run_is_watched_and_reported() -> None:
    shown_by(
        "cli/test_watch.py::test_screen_is_another_one_and_goes_with_the_run",
        "cli/test_report.py::test_report_is_written_beside_and_its_path_is_the_answer",
        "local/checklist/test_report_and_watch.py::test_watch_shows_a_live_screen_until_the_training_ends",
        "local/checklist/test_report_and_watch.py::test_report_is_one_page_that_needs_nothing_else",
        "local/checklist/test_report_and_watch.py::test_browser_shows_the_report_offline",
    )


def test_rows_58_and_66_code_is_verified_and_an_unchanged_project_moves_nothing() -> None:
    shown_by(
        "client/test_code_sync.py::test_unchanged_project_moves_nothing_and_is_looked_for_in_the_bucket",
        "local/runs/test_code.py::test_machines_word_that_all_arrived_is_told_while_waiting_and_in_log_and_timeline",
    )
    assert (TESTS.parent / "benchmarks" / "code_sync.py").is_file()


def test_row_62_machines_are_started_stopped_and_ended_and_a_training_is_not_lost() -> None:
    shown_by(
        "cli/test_aws.py::test_stop_and_start_and_terminate_ask_ec2",
        "cli/test_aws.py::test_terminate_asks_first",
    )


def test_row_67_a_pytorch_training_resumes_bit_for_bit() -> None:
    assert (TESTS / "torch" / "__main__.py").is_file()
    assert (TESTS.parent / "training" / "train_torch.py").is_file()


def test_row_72_examples_of_the_documentation_are_executed() -> None:
    shown_by(
        "docs/test_command_lines.py::test_every_command_line_is_understood",
        "docs/test_tutorial.py::test_every_line_of_the_page_was_done",
        "local/runs/test_python_api.py::test_example_of_the_documentation_runs_as_it_stands",
    )


# -- further wishes, and what must stay ------------------------------------------------------------------------------


def test_spot_machine_is_created_by_name_and_a_refusal_says_what_to_do() -> None:
    shown_by(
        "local/checklist/test_commands.py::test_spot_machine_is_created_and_named",
        "cli/test_aws.py::test_create_that_waits_names_the_machine_and_what_to_do_with_it",
    )


def test_partial_failures_say_what_exists_what_it_costs_how_to_go_on_and_how_to_undo() -> None:
    shown_by(
        "cli/test_partial_failures.py::test_three_of_five_machines_are_told_with_their_cost_when_the_fourth_is_refused",
        "cli/test_partial_failures.py::test_sync_that_broke_off_says_that_nothing_costs_and_goes_on_where_it_was",
        "client/test_code_sync.py::test_upload_that_broke_off_is_taken_up_where_it_was",
        "local/checklist/test_partial_failures.py"
        "::test_run_whose_command_line_was_killed_goes_on_and_says_how_to_come_back_and_to_undo",
    )


def test_help_is_kept_at_three_widths() -> None:
    shown_by("cli/test_contract.py::test_help_is_the_one_that_is_kept")


def test_rows_73_to_85_success_says_that_training_completed(runctl: CommandLine) -> None:
    runctl.deployment.add(
        a_run(status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED, ended_at=NOW, message="It ended."), an_attempt()
    )

    answer = runctl("wait", "last")

    assert answer.exit_code == 0
    assert "Training completed successfully" in answer.stderr


def test_rows_73_to_85_more_than_fifty_machines_are_refused() -> None:
    shown_by(
        "cli/test_aws.py::test_create_notes_many_machines_and_refuses_too_many",
        "cli/test_aws.py::test_limit_of_machines_is_raised_in_the_configuration",
        "local/checklist/test_commands.py::test_machine_trains_twice_and_is_monitored",
        "local/checklist/test_commands.py::test_machines_are_listed_with_what_they_cost",
    )


@pytest.mark.parametrize(
    "line",
    [
        "runctl init",
        "runctl aws create t3.micro --wait",
        "runctl aws create t3.micro --spot --wait",
        "runctl aws create t3.micro --iam-instance-profile runctl-ssm-profile --wait",
        'runctl aws train INSTANCE {SCRIPT} --sync-code --script-args "--epochs 3"',
        "runctl aws train INSTANCE {SCRIPT} --sync-code --wait -- --epochs 1",
        "runctl aws monitor INSTANCE",
        "runctl aws wait INSTANCE",
        "runctl aws wait-ssm INSTANCE",
        "runctl resources list",
        "runctl resources cost",
        "runctl workflow train {SCRIPT} --instance-type t3.micro --spot -- --epochs 3",
        "runctl workflow resume RUN",
        "runctl workflow cleanup",
    ],
)
def test_every_command_of_the_checklist_is_done_word_for_word_on_the_local_target(line: str) -> None:
    assert line in (TESTS / "local" / "checklist" / "test_commands.py").read_text()
