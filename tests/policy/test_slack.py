"""What Slack is told, and when again."""

import pytest

from runctl.model.slack import SlackAnswer
from runctl.policy.slack import MOST_CHARACTERS, TRIES, slack_text, wait_before_next_try


def test_a_message_has_its_subject_in_bold_and_nothing_of_it_is_markup() -> None:
    text = slack_text("runctl: *digits* FAILED", "loss <!channel> & more > less\n")

    assert text == "*runctl: digits FAILED*\nloss &lt;!channel&gt; &amp; more &gt; less"


def test_a_message_without_a_subject_is_its_text() -> None:
    assert slack_text("", "boom") == "boom"


def test_a_long_message_is_cut_before_slack_cuts_it() -> None:
    assert len(slack_text("digits", "x" * 100_000)) == MOST_CHARACTERS + 1


@pytest.mark.parametrize(
    ("answer", "tries", "wait_s"),
    [
        (SlackAnswer(500), 1, 1.0),
        (SlackAnswer(503), 2, 2.0),
        (SlackAnswer(status=None), 3, 4.0),
        (SlackAnswer(429), 1, 1.0),
        (SlackAnswer(429, retry_after_s=30), 1, 30.0),
        (SlackAnswer(429, retry_after_s=0), 2, 2.0),
    ],
)
def test_what_passes_by_itself_is_tried_again_later_and_later(answer: SlackAnswer, tries: int, wait_s: float) -> None:
    assert wait_before_next_try(answer, tries, left_s=40) == wait_s


@pytest.mark.parametrize(
    ("answer", "tries", "left_s"),
    [
        (SlackAnswer(200), 1, 40),
        (SlackAnswer(302), 1, 40),
        (SlackAnswer(404), 1, 40),
        (SlackAnswer(410), 1, 40),
        (SlackAnswer(500), TRIES, 40),
        (SlackAnswer(429, retry_after_s=60), 1, 40),
        (SlackAnswer(500), 1, 0.5),
    ],
)
def test_what_was_taken_or_refused_or_does_not_fit_is_not_tried_again_now(
    answer: SlackAnswer, tries: int, left_s: float
) -> None:
    assert wait_before_next_try(answer, tries, left_s) is None
