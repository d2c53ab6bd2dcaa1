"""`runctl ps | status | events | logs | cancel | extend`."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from runctl.aws.training_log import LogPage
from runctl.model.extension import Extension
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.run import CheckpointRef, Progress, Run
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineEvent, TimelineKind
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt
from tests.factories import make_spec


def _event(run: Run, seconds: int, kind: TimelineKind, text: str) -> TimelineEvent:
    at = run.created_at + timedelta(seconds=seconds)
    return TimelineEvent(run_id=run.run_id, event_id=f"{kind}-{seconds}", at=at, kind=kind, text=text)


def _failed(runctl: CommandLine) -> Run:
    attempt = an_attempt(
        ended_at=NOW, reason=Reason.USER_ERROR, exit_code=3, evidence="Exit code 3; last: could not read the labels."
    )
    return runctl.deployment.add(
        a_run(status=RunStatus.FAILED, reason=Reason.USER_ERROR, ended_at=NOW, message="The training failed."), attempt
    )


def test_failed_run_says_what_was_kept_and_what_was_ended(runctl: CommandLine) -> None:
    saved = CheckpointRef(name="step-40", step=40, manifest_key="key", bytes=1, attempt=AttemptNumber(1), saved_at=NOW)
    run = _failed(runctl)
    runctl.deployment.add(run.model_copy(update={"checkpoint": saved}), an_attempt(ended_at=NOW, gone_at=NOW))

    answer = runctl("status", run.run_id)

    assert "Kept        checkpoint step-40, the log of 1 attempt\n" in answer.stdout
    assert "Ended       machine i-00000000000000001\n" in answer.stdout


def test_failed_run_on_a_kept_machine_says_that_it_stays(runctl: CommandLine) -> None:
    machine = InstanceId("i-00000000000000001")
    run = _failed(runctl)
    runctl.deployment.add(run.model_copy(update={"machine": machine}), an_attempt(ended_at=NOW))

    answer = runctl("status", run.run_id)

    assert "Kept        no checkpoint, the log of 1 attempt\n" in answer.stdout
    assert f"Ended       nothing: the machine {machine} stays" in answer.stdout


# -- ps --------------------------------------------------------------------------------------------------------------


def test_ps_lists_the_projects_runs_newest_first(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run("r-1hx3k7paaaaa", created_at=NOW - timedelta(hours=2)))
    runctl.deployment.add(a_run("r-1hx3k7pbbbbb", progress=Progress(at=NOW, step=40)))
    runctl.deployment.add(a_run("r-1hx3k7pccccc", project="other"))

    text = runctl("ps").stdout.splitlines()
    runs = runctl.json("ps").data["runs"]

    assert [line.split()[0] for line in text] == ["RUN", "r-1hx3k7pbbbbb", "r-1hx3k7paaaaa"]
    assert [(run["run_id"], run["status"], run["step"]) for run in runs] == [
        ("r-1hx3k7pbbbbb", "RUNNING", 40),
        ("r-1hx3k7paaaaa", "RUNNING", None),
    ]


def test_ps_stops_at_its_limit(runctl: CommandLine) -> None:
    for letter in "abcde":
        runctl.deployment.add(a_run(f"r-1hx3k7p{letter * 5}"))

    assert len(runctl.json("ps", "--limit", "3").data["runs"]) == 3


def test_ps_of_a_project_without_runs_says_how_to_begin(runctl: CommandLine) -> None:
    answer = runctl("ps")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "runctl train SCRIPT" in answer.stderr


# -- status ----------------------------------------------------------------------------------------------------------


def test_status_shows_why_a_run_failed(runctl: CommandLine) -> None:
    run = _failed(runctl)

    answer = runctl("status", run.run_id)

    assert answer.exit_code == 0
    assert "FAILED (USER_ERROR)" in answer.stdout
    assert "could not read the labels" in answer.stdout
    assert f"runctl logs {run.run_id}" in answer.stderr
    assert "runctl cancel" not in answer.stderr


def test_status_in_json_is_the_run(runctl: CommandLine) -> None:
    run = _failed(runctl)

    answer = runctl.json("status", "last")

    assert answer.exit_code == 0
    assert answer.data["run_id"] == run.run_id
    assert answer.data["attempts"][0]["exit_code"] == 3


def test_status_of_a_run_that_trains_says_how_to_end_it(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run(), an_attempt())

    assert f"runctl cancel {run.run_id}" in runctl("status", "last").stderr


def test_run_whose_execution_was_never_started_is_told_as_such(runctl: CommandLine) -> None:
    runctl.deployment.add(
        a_run(status=RunStatus.PENDING, attempt=AttemptNumber(0), created_at=datetime(2020, 1, 1, tzinfo=UTC))
    )

    assert "It has not begun for" in runctl("status", "last").stdout


def test_status_has_no_colours_when_nobody_sees_them(runctl: CommandLine) -> None:
    _failed(runctl)

    answer = runctl("status", "last")

    assert "\x1b" not in answer.stdout + answer.stderr


# -- events ----------------------------------------------------------------------------------------------------------


def test_events_are_told_in_order_with_their_kinds(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run())
    runctl.deployment.runs.timeline += [
        _event(run, 0, TimelineKind.SUBMITTED, "Ada submitted it."),
        _event(run, 3, TimelineKind.LAUNCHED, "EC2 launched a machine."),
    ]

    text = runctl("events", "last").stdout.splitlines()
    data = runctl.json("events", "last").data

    assert [line.split("  ")[-1].strip() for line in text] == ["Ada submitted it.", "EC2 launched a machine."]
    assert [event["kind"] for event in data["events"]] == ["submitted", "launched"]
    assert data["events"][1]["at"] == "2026-11-24T09:25:03.000Z"


# -- logs ------------------------------------------------------------------------------------------------------------


def test_logs_prints_what_the_training_printed_and_nothing_else(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run(attempt=AttemptNumber(2)))
    runctl.deployment.logs.streams = {f"{run.run_id}/0001": ["a", "b"], f"{run.run_id}/0002": ["c"]}

    answer = runctl("logs", "last")

    assert answer.stdout == "a\nb\nc\n"
    assert "attempt 2: another machine" in answer.stderr
    assert runctl("logs", "last", "--attempt", "2").stdout == "c\n"


def test_logs_in_json_name_the_attempt_of_each_line(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run())
    runctl.deployment.logs.streams = {f"{run.run_id}/0001": ["a"]}

    assert runctl.json("logs", "last").data["lines"] == [{"attempt": 1, "at_ms": 0, "text": "a"}]


def test_logs_of_an_attempt_that_was_never_made(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run())

    answer = runctl.json("logs", "last", "--attempt", "9")

    assert answer.exit_code == 3
    assert "no attempt 9" in answer.error["message"]


def test_followed_log_returns_the_trainings_result(runctl: CommandLine) -> None:
    run = _failed(runctl)
    runctl.deployment.logs.streams = {f"{run.run_id}/0001": ["could not read the labels"]}

    answer = runctl("logs", "last", "-f")

    assert answer.exit_code == 1
    assert answer.stdout == "could not read the labels\n"
    assert "docs/errors.md#user_error" in answer.stderr


def test_ctrl_c_while_following_lets_go(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run())

    runctl.deployment.logs.streams = {f"{run.run_id}/0001": ["a"]}
    read = runctl.deployment.logs.page

    def interrupt(stream: str, token: str | None = None) -> LogPage:
        if token is not None:
            raise KeyboardInterrupt
        return read(stream, token)

    runctl.deployment.logs.page = interrupt  # type: ignore[method-assign]

    answer = runctl("logs", "last", "-f")

    assert answer.exit_code == 130
    assert answer.stdout == "a\n"
    assert runctl.json("logs", "last", "-f").data["lines"] == [{"attempt": 1, "at_ms": 0, "text": "a"}]
    assert f"runctl logs {run.run_id} -f" in answer.stderr
    assert runctl.deployment.stopper.commands == []


def test_copies_of_logs_are_kept_one_an_attempt_where_the_configuration_says(
    runctl: CommandLine, project: Path
) -> None:
    (project / ".runctl.toml").write_text('[logs]\ndir = "logs"\n')
    run = runctl.deployment.add(a_run(attempt=AttemptNumber(2)))
    runctl.deployment.logs.streams = {f"{run.run_id}/0001": ["a"], f"{run.run_id}/0002": ["b"]}

    runctl("logs", "last")
    runctl("logs", "last", "--log-dir", "elsewhere")

    kept = sorted((project / "logs").iterdir())
    assert [file.read_text() for file in kept] == ["a\n", "b\n"]
    assert [file.name[:20] for file in kept] == [f"{run.run_id}-0001-", f"{run.run_id}-0002-"]
    assert len(list((project / "elsewhere").iterdir())) == 2


# -- cancel ----------------------------------------------------------------------------------------------------------


def test_cancel_asks_the_run_to_save_and_end(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run())

    answer = runctl.json("cancel", "last")

    (command,) = runctl.deployment.stopper.commands
    assert (command.run_id, command.now) == (run.run_id, False)
    assert answer.data == {"run_id": run.run_id, "status": "STOPPING", "message": "The run saves and ends."}


def test_cancel_now_ends_it_at_once(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run())

    answer = runctl("cancel", "last", "--now")

    assert runctl.deployment.stopper.commands[0].now is True
    assert answer.stdout == f"{RunId('r-1hx3k7pabcde')}  STOPPING\n"


# -- extend ----------------------------------------------------------------------------------------------------------


def test_extend_adds_to_both_limits(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run(status=RunStatus.RUNNING, spec=make_spec(max_cost_usd=Decimal(10))))

    answer = runctl.json("extend", "last", "--max-runtime", "+12h", "--max-cost", "+40")

    (command,) = runctl.deployment.stopper.commands
    assert command.extension is not None
    assert command.extension.max_runtime_s == run.spec.max_runtime_s + 43_200
    assert (command.extension.max_cost_usd, command.extension.added_to_cost_usd) == (50, 10)
    assert set(answer.data) == {"run_id", "status", "message", "max_runtime_s", "max_cost_usd"}


def test_extend_takes_whole_limits_too(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run(status=RunStatus.RUNNING, spec=make_spec(max_cost_usd=Decimal(10))))

    answer = runctl("extend", "last", "--max-runtime", "72h", "--max-cost", "$40")

    (command,) = runctl.deployment.stopper.commands
    assert answer.exit_code == 0
    assert command.extension == Extension(max_runtime_s=259_200, max_cost_usd=Decimal(40))


def test_a_run_that_has_ended_is_not_extended_and_the_way_on_is_named(runctl: CommandLine) -> None:
    run = runctl.deployment.add(a_run(status=RunStatus.STOPPED, reason=Reason.BUDGET))

    answer = runctl("extend", "last", "--max-cost", "+40")

    assert answer.exit_code == 2
    assert f"runctl resume {run.run_id}" in answer.stderr
    assert runctl.deployment.stopper.commands == []


def test_nobody_extends_anothers_run_without_naming_it_whole(runctl: CommandLine) -> None:
    spec = make_spec(max_cost_usd=Decimal(10))
    runctl.deployment.add(a_run("r-1hx3k7pbbbbb", user="bob", status=RunStatus.RUNNING, spec=spec))

    refused = runctl("extend", "last", "--max-cost", "+1")
    nothing_yet = list(runctl.deployment.stopper.commands)
    by_id = runctl("extend", "r-1hx3k7pbbbbb", "--max-cost", "+1")

    assert (refused.exit_code, nothing_yet, by_id.exit_code) == (2, [], 0)
    assert "runctl extend r-1hx3k7pbbbbb" in refused.stderr


# -- two people, one account -----------------------------------------------------------------------------------------


def test_ps_lists_ones_own_runs_and_all_users_when_asked(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run("r-1hx3k7paaaaa", user="ada"))
    runctl.deployment.add(a_run("r-1hx3k7pbbbbb", user="bob"))

    mine, everyones = runctl.json("ps").data["runs"], runctl.json("ps", "--all-users").data["runs"]

    assert [run["user"] for run in mine] == ["ada"]
    assert {run["user"] for run in everyones} == {"ada", "bob"}


def test_nobody_cancels_anothers_run_without_naming_it_whole(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run("r-1hx3k7pbbbbb", user="bob", status=RunStatus.RUNNING))

    by_prefix, as_last = runctl("cancel", "1hx3k7pb"), runctl("cancel", "last")
    nothing_yet = list(runctl.deployment.stopper.commands)
    by_id = runctl("cancel", "r-1hx3k7pbbbbb")

    for refused in (by_prefix, as_last):
        assert refused.exit_code == 2
        assert "is bob's, not yours" in refused.stderr
        assert "runctl cancel r-1hx3k7pbbbbb" in refused.stderr
    assert nothing_yet == []
    assert by_id.exit_code == 0


def test_wait_returns_the_trainings_result(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run("r-1hx3k7pbbbbb", status=RunStatus.FAILED, reason=Reason.USER_ERROR))

    answer = runctl.json("wait", "last")

    assert (answer.exit_code, answer.data["reason"]) == (1, "USER_ERROR")
