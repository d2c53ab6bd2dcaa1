"""Who hears what is told: the subscriptions of the topic."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runctl.aws.errors import aws_errors

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

_PENDING: Final = "PendingConfirmation"
_PENDING_ANSWERS: Final = ("pending confirmation", _PENDING)
"""What stands in the place of an ARN until the owner has confirmed (SNS API Reference, Subscribe and
ListSubscriptionsByTopic)."""


@dataclass(frozen=True)
class Subscription:
    """One that hears."""

    protocol: str
    endpoint: str
    is_confirmed: bool


class Subscriptions:
    """Adds, lists and removes them."""

    def __init__(self, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def add(self, protocol: str, endpoint: str) -> Subscription:
        """Let somebody hear; an e-mail address or an HTTPS endpoint must confirm first. Adding twice is fine."""
        with aws_errors():
            answer = self._client.subscribe(TopicArn=self._topic_arn, Protocol=protocol, Endpoint=endpoint)
        return Subscription(protocol, endpoint, answer["SubscriptionArn"] not in _PENDING_ANSWERS)

    def all(self) -> tuple[Subscription, ...]:
        """All of them, functions left out."""
        found = ((arn, each) for arn, each in self._listed() if each.protocol != "lambda")
        return tuple(each for _, each in found)

    def remove(self, endpoint: str) -> int:
        """Let an endpoint hear no more; answers how many subscriptions it had. One that is not confirmed cannot be
        removed: SNS drops it after two days."""
        removed = 0
        for arn, each in self._listed():
            if each.endpoint == endpoint and each.is_confirmed:
                with aws_errors():
                    self._client.unsubscribe(SubscriptionArn=arn)
                removed += 1
        return removed

    def _listed(self) -> list[tuple[str, Subscription]]:
        with aws_errors():
            pages = self._client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self._topic_arn)
            found = [each for page in pages for each in page["Subscriptions"]]
        return [
            (
                each.get("SubscriptionArn", ""),
                Subscription(
                    each.get("Protocol", ""),
                    each.get("Endpoint", ""),
                    each.get("SubscriptionArn", "") not in _PENDING_ANSWERS,
                ),
            )
            for each in found
        ]
