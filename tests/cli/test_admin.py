"""`runctl admin redrive`: shown and asked first, and nothing leaves the queue that was not taken."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runctl.errors import PermissionDenied
from runctl.model.dead_letter import DeadLetter, LetterSource
from tests.cli.command_line import CommandLine
from tests.client.deployment import STATE_MACHINE

_, _, _, REGION, ACCOUNT, *_ = STATE_MACHINE.split(":")
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:runctl-observe_agent"


def lay(runctl: CommandLine, message_id: str, **fields: Any) -> DeadLetter:
    """Put a letter into the queue."""
    defaults: dict[str, Any] = {
        "source": LetterSource.FUNCTION,
        "target": FUNCTION,
        "put_away_at": datetime.now(UTC) - timedelta(minutes=90),
        "why": "Sandbox.Timedout: Task timed out",
        "about": f"Training Ended {message_id}",
        "payload": "{}",
    }
    letter = DeadLetter(message_id=message_id, **(defaults | fields))
    runctl.deployment.dead_letters.lying[message_id] = letter
    return letter


def answers(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    """Somebody answers the question."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: yes)


def test_where_nobody_can_be_asked_it_shows_source_age_and_why_and_sends_nothing(runctl: CommandLine) -> None:
    lay(runctl, "m-1")

    answer = runctl("admin", "redrive")

    assert answer.exit_code == 0, answer
    assert answer.stdout == (
        "Training Ended m-1, 1 h 30 min old, for observe_agent: Sandbox.Timedout: Task timed out\n"
    )
    assert "runctl admin redrive --yes" in answer.stderr
    assert runctl.deployment.dead_letters.delivered == []


def test_a_dry_run_asks_nothing_at_a_terminal_either(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(runctl, "m-1")
    answers(monkeypatch, yes=True)

    answer = runctl.json("admin", "redrive", "--dry-run")

    (letter,) = answer.data["letters"]
    assert (answer.data["dry_run"], letter["outcome"], letter["source"]) == (True, "ready", "function")
    assert runctl.deployment.dead_letters.delivered == []


def test_a_yes_sends_each_to_its_function(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(runctl, "m-1")
    lay(runctl, "m-2", put_away_at=datetime.now(UTC))
    answers(monkeypatch, yes=True)

    answer = runctl("admin", "redrive")

    assert runctl.deployment.dead_letters.delivered == ["m-1", "m-2"]
    assert "sent again: Training Ended m-1 to observe_agent\n" in answer.stdout


def test_a_no_sends_nothing(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(runctl, "m-1")
    answers(monkeypatch, yes=False)

    answer = runctl("admin", "redrive")

    assert answer.exit_code == 2
    assert runctl.deployment.dead_letters.delivered == []


def test_what_is_not_ours_is_named_and_stays(runctl: CommandLine) -> None:
    lay(runctl, "m-1", target=FUNCTION.replace("runctl-", "payroll-"))
    lay(runctl, "m-2")

    answer = runctl.json("admin", "redrive", "--yes")

    assert {each["message_id"]: each["outcome"] for each in answer.data["letters"]} == {"m-1": "stays", "m-2": "sent"}
    assert set(runctl.deployment.dead_letters.lying) == {"m-1"}


def test_one_that_is_refused_is_an_error_and_the_others_went(runctl: CommandLine) -> None:
    lay(runctl, "m-1")
    lay(runctl, "m-2")
    runctl.deployment.dead_letters.refused["m-1"] = PermissionDenied("AWS refuses lambda:InvokeFunction.")

    answer = runctl.json("admin", "redrive", "--yes")

    assert answer.exit_code == 4
    assert {each["message_id"]: each["outcome"] for each in answer.data["letters"]} == {"m-1": "refused", "m-2": "sent"}


def test_one_in_other_hands_is_told(runctl: CommandLine) -> None:
    lay(runctl, "m-1")
    runctl.deployment.dead_letters.held.add("m-1")

    answer = runctl("admin", "redrive", "--yes")

    assert "Not handed out: Training Ended m-1" in answer.stderr


def test_an_empty_queue_is_said_to_be_empty(runctl: CommandLine) -> None:
    answer = runctl("admin", "redrive", "--yes")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "Nothing lies in the dead-letter queue." in answer.stderr
