"""Telling Slack what the topic tells."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from runctl.controller.tell_slack import TIME_FOR_POSTS, Slack, tell_slack
from runctl.errors import SlackRefused, Throttled
from runctl.model.slack import SlackAnswer, SlackMessage, messages_of
from tests.fakes.clock import START

ONE, OTHER = "https://hooks.example/one", "https://hooks.example/other"
TAKEN = SlackAnswer(200)


@dataclass
class World:
    """Two webhooks, what each answers next, and a clock that waiting moves."""

    answers: dict[str, list[SlackAnswer]] = field(default_factory=dict[str, list[SlackAnswer]])
    urls: dict[str, str] = field(default_factory=lambda: {"/one": ONE, "/other": OTHER})
    posted: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    handed_on: list[SlackMessage] = field(default_factory=list[SlackMessage])
    unreadable: set[str] = field(default_factory=set[str])
    slept_s: list[float] = field(default_factory=list[float])
    at: datetime = START

    def names(self) -> list[str]:
        return list(self.urls)

    def url(self, name: str) -> str | None:
        if name in self.unreadable:
            raise Throttled("Slow down.")
        return self.urls.get(name)

    def post(self, url: str, text: str) -> SlackAnswer:
        answers = self.answers.get(url, [TAKEN])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.is_taken:
            self.posted.append((url, text))
        return answer

    def hand_on(self, message: SlackMessage) -> None:
        self.handed_on.append(message)

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.at += timedelta(seconds=seconds)

    def tell(self, *messages: SlackMessage) -> dict[str, int]:
        return tell_slack(messages, Slack(self, self, self, self.sleep, lambda: self.at))


TOLD = SlackMessage(subject="runctl: digits FAILED", text="boom")
TEXT = "*runctl: digits FAILED*\nboom"


def test_every_webhook_hears() -> None:
    world = World()

    answer = world.tell(TOLD)

    assert world.posted == [(ONE, TEXT), (OTHER, TEXT)]
    assert answer == {"posted": 2, "handed_on": 0}


def test_an_address_that_cannot_be_read_now_lets_no_other_webhook_hear_twice() -> None:
    world = World(unreadable={"/other"})

    answer = world.tell(TOLD)

    assert answer == {"posted": 1, "handed_on": 1}
    assert world.posted == [(ONE, TEXT)]
    assert [message.webhook for message in world.handed_on] == ["/other"]


def test_an_address_that_still_cannot_be_read_is_left_to_lambdas_next_try() -> None:
    world = World(unreadable={"/other"})

    with pytest.raises(Throttled):
        world.tell(TOLD.model_copy(update={"webhook": "/other"}))


def test_without_webhooks_nothing_is_done() -> None:
    assert World(urls={}).tell(TOLD) == {"posted": 0, "handed_on": 0}


def test_a_webhook_that_asks_for_time_gets_it_and_then_the_message_once() -> None:
    world = World(answers={ONE: [SlackAnswer(429, retry_after_s=7), SlackAnswer(503), TAKEN]})

    world.tell(TOLD)

    assert world.slept_s == [7, 2]
    assert world.posted == [(ONE, TEXT), (OTHER, TEXT)]


def test_one_that_does_not_take_it_is_tried_alone_so_that_the_other_hears_once() -> None:
    world = World(answers={ONE: [SlackAnswer(500)]})

    answer = world.tell(TOLD)

    assert world.posted == [(OTHER, TEXT)]
    assert world.handed_on == [SlackMessage(webhook="/one", subject=TOLD.subject, text="boom")]
    assert answer == {"posted": 1, "handed_on": 1}


def test_one_that_does_not_take_it_alone_is_an_error_that_does_not_name_the_address() -> None:
    world = World(answers={ONE: [SlackAnswer(404)]})

    with pytest.raises(SlackRefused) as caught:
        world.tell(SlackMessage(webhook="/one", text="boom"))

    assert "HTTP 404" in str(caught.value)
    assert ONE not in str(caught.value)
    assert not world.handed_on


def test_a_webhook_that_was_removed_meanwhile_is_no_error() -> None:
    assert World().tell(SlackMessage(webhook="/gone", text="boom")) == {"posted": 0, "handed_on": 0}


def test_waiting_ends_before_the_functions_time_does_and_the_rest_is_handed_on() -> None:
    world = World(answers={ONE: [SlackAnswer(429, retry_after_s=35)]})

    world.tell(TOLD)

    assert sum(world.slept_s) < TIME_FOR_POSTS.total_seconds() < 60 - 5
    assert [each.webhook for each in world.handed_on] == ["/one"]
    assert world.posted == [(OTHER, TEXT)]


def test_an_event_of_the_topic_and_one_of_its_own_are_read() -> None:
    of_topic = {"Records": [{"EventSource": "aws:sns", "Sns": {"Subject": None, "Message": "boom", "Type": "x"}}]}
    own = SlackMessage(webhook="/one", subject="s", text="t")

    assert messages_of(of_topic) == (SlackMessage(subject="", text="boom"),)
    assert messages_of(own.model_dump()) == (own,)
