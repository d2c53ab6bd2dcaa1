"""What Slack is told, and when it is told again."""

from typing import Final

from runctl.model.slack import SlackAnswer

MOST_CHARACTERS: Final = 30_000
"""Slack cuts a text after 40,000 characters (Slack documentation, "chat.postMessage", "Truncating content")."""

TRIES: Final = 4
"""In one invocation of the function; Lambda makes two more invocations, a minute and two later."""

TOO_MANY: Final = 429

_FIRST_WAIT_S: Final = 1.0
"""Slack takes a message a second on a webhook (Slack documentation, "Rate limits")."""


def slack_text(subject: str, text: str) -> str:
    """Write a message of the topic as Slack reads it: the subject in bold, and nothing of the text taken for markup
    (Slack documentation, "Formatting text for app surfaces", "Escaping text")."""
    title = _escaped(" ".join(subject.split())).replace("*", "")
    body = _escaped(text.strip())
    whole = f"*{title}*\n{body}" if title else body
    return whole if len(whole) <= MOST_CHARACTERS else f"{whole[:MOST_CHARACTERS]}…"


def wait_before_next_try(answer: SlackAnswer, tries: int, left_s: float) -> float | None:
    """How long to wait before the next try, in seconds; None when there is none.

    Tried again is what passes by itself: too many messages, a fault of Slack's, no answer. `tries` have been made, and
    `left_s` are left of the invocation; a wait that does not fit is left to the next one.
    """
    passes = answer.status is None or answer.status == TOO_MANY or answer.status >= 500
    if answer.is_taken or not passes or tries >= TRIES:
        return None
    backed_off_s = _FIRST_WAIT_S * 2 ** (tries - 1)
    wait_s = max(backed_off_s, answer.retry_after_s or 0.0)
    return wait_s if wait_s < left_s else None


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
