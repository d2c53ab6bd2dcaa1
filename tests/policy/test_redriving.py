"""Which dead letters can be sent again."""

from datetime import UTC, datetime

from runctl.model.dead_letter import DeadLetter, LetterSource
from runctl.model.names import Function
from runctl.policy.redriving import obstacle

OURS = "arn:aws:lambda:us-east-1:123456789012:function:runctl-observe_agent"
FUNCTIONS = {OURS: Function.OBSERVE_AGENT}


def a_letter(**fields: object) -> DeadLetter:
    defaults = {
        "message_id": "m-1",
        "source": LetterSource.RULE,
        "target": OURS,
        "put_away_at": datetime(2026, 1, 31, tzinfo=UTC),
        "why": "NO_PERMISSIONS",
    }
    return DeadLetter.model_validate(defaults | fields)


def test_what_was_for_a_function_of_ours_can_be_sent_again() -> None:
    assert obstacle(a_letter(), FUNCTIONS) is None


def test_what_was_for_somebody_else_is_sent_to_nobody() -> None:
    stranger = OURS.replace("runctl-", "payroll-")

    assert f"It was for {stranger}" in str(obstacle(a_letter(target=stranger), FUNCTIONS))


def test_a_message_that_nobody_understands_stays() -> None:
    letter = a_letter(source=LetterSource.UNKNOWN, target="", why="It has no known shape.")

    assert obstacle(letter, FUNCTIONS) == "It has no known shape."


def test_a_payload_that_was_cut_off_stays() -> None:
    assert "cut its payload off" in str(obstacle(a_letter(is_whole=False), FUNCTIONS))
