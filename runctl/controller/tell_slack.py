"""Post to Slack what the topic tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from runctl.controller.ports import Clock, SlackLater, SlackPosts, SlackWebhooks
from runctl.errors import AwsError, SlackRefused
from runctl.model.slack import SlackAnswer, SlackMessage
from runctl.policy.slack import slack_text, wait_before_next_try

TIME_FOR_POSTS: Final = timedelta(seconds=40)
"""Of one invocation; a post takes five seconds more at most, and the function's time is 60 s."""


@dataclass(frozen=True)
class Slack:
    """All that posting needs. `sleep` pauses between tries."""

    webhooks: SlackWebhooks
    posts: SlackPosts
    later: SlackLater
    sleep: Callable[[float], None]
    now: Clock


def tell_slack(messages: Sequence[SlackMessage], slack: Slack) -> dict[str, Any]:
    """Post each message to its webhook, or to all. Raises SlackRefused when it was for one webhook, which refused.

    One that does not take a message of the topic is tried again in an invocation of its own, so that the others do not
    get it twice.
    """
    give_up_at = slack.now() + TIME_FOR_POSTS
    posted, handed_on = 0, 0
    for message in messages:
        for name in (message.webhook,) if message.webhook else slack.webhooks.names():
            try:
                answer = _post(name, message, slack, give_up_at)
            except AwsError:
                if message.webhook:
                    raise
                answer = SlackAnswer(status=None)  # its address could not be read; others have the message already
            if answer is None:
                continue
            if answer.is_taken:
                posted += 1
            elif message.webhook:
                raise SlackRefused(f"{name} did not take the message: {answer}.")
            else:
                slack.later.hand_on(message.model_copy(update={"webhook": name}))
                handed_on += 1
    return {"posted": posted, "handed_on": handed_on}


def _post(name: str, message: SlackMessage, slack: Slack, give_up_at: datetime) -> SlackAnswer | None:
    """Post until it is taken or not worth another try now; None when the webhook was removed."""
    url = slack.webhooks.url(name)
    if url is None:
        return None
    text = slack_text(message.subject, message.text)
    answer, tries = SlackAnswer(status=None), 0
    while slack.now() < give_up_at:
        answer = slack.posts.post(url, text)
        tries += 1
        wait_s = wait_before_next_try(answer, tries, (give_up_at - slack.now()).total_seconds())
        if wait_s is None:
            break
        slack.sleep(wait_s)
    return answer
