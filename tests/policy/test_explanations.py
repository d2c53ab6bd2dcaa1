"""The sentences that people read."""

from datetime import timedelta

import pytest

from runctl.model.agent_event import EndedWhy, TrainingEnded
from runctl.model.ids import AttemptNumber
from runctl.model.run import CheckpointRef
from runctl.model.status import Reason
from runctl.policy.explanations import NEXT_STEP, explain_end
from runctl.policy.sentences import duration, shorten, stop_requested, training_ended
from tests.factories import RUN_ID, after, make_end, make_stop_request

CHECKPOINT = CheckpointRef(
    name="step-400.npz", step=400, manifest_key="k", bytes=1, saved_at=after(1), attempt=AttemptNumber(1)
)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_next_step_or_needs_none(reason: Reason) -> None:
    text = explain_end(RUN_ID, reason, "This was seen.")

    assert text.startswith("This was seen.")
    assert "{" not in text
    assert (NEXT_STEP[reason] == "") is (reason in (Reason.COMPLETED, Reason.CANCELLED))


def test_an_end_says_what_is_kept_and_what_to_do() -> None:
    text = explain_end(RUN_ID, Reason.USER_ERROR, "The training ended with exit code 3.", CHECKPOINT)

    assert text == (
        "The training ended with exit code 3. The checkpoint step-400.npz of step 400 is kept. "
        f"Read the log: runctl logs {RUN_ID}."
    )


@pytest.mark.parametrize("reason", list(Reason))
def test_an_end_without_a_checkpoint_does_not_promise_one(reason: Reason) -> None:
    assert "kept" not in explain_end(RUN_ID, reason, "This was seen.")


@pytest.mark.parametrize("why", list(EndedWhy))
@pytest.mark.parametrize(("exit_code", "signal"), [(None, None), (0, None), (1, None), (75, None), (None, 9)])
def test_every_way_to_end_is_a_sentence(why: EndedWhy, exit_code: int | None, signal: int | None) -> None:
    ended = TrainingEnded.model_validate(make_end(why, exit_code, signal=signal))

    text = training_ended(ended)

    assert text.startswith("The ")
    assert text.endswith(".")
    assert "None" not in text


def test_a_report_with_a_message_and_a_last_line_quotes_both() -> None:
    ended = TrainingEnded.model_validate(
        make_end(EndedWhy.SETUP_FAILED, None, message="uv could not resolve.", last_lines=("no such package",))
    )

    assert training_ended(ended) == (
        "The code, the environment or the data could not be made ready: uv could not resolve; "
        'its last line was "no such package".'
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (11_100, "3 h 5 min")],
)
def test_spans_are_written_as_people_say_them(seconds: int, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


def test_text_from_outside_is_one_short_line() -> None:
    assert shorten("two\n  lines") == "two lines"
    assert len(shorten("x" * 1_000, 100)) == 100


@pytest.mark.parametrize("reason", [Reason.CANCELLED, Reason.TIMEOUT, Reason.BUDGET, Reason.CONTROLLER])
def test_a_stop_request_says_who_asked(reason: Reason) -> None:
    assert "ada" in stop_requested(make_stop_request(reason))
