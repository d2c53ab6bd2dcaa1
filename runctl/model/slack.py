"""What is posted to Slack, and what comes back."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from runctl.model.base import WireModel


class SlackMessage(WireModel):
    """A message for one webhook, or, without `webhook`, for all that there are."""

    webhook: str = ""
    """Name under which the address is kept; the address itself is in no event."""
    subject: str = ""
    text: str


class _OfTheTopic(WireModel):
    subject: Annotated[str, BeforeValidator(lambda given: given or "")] = Field("", alias="Subject")
    text: str = Field(alias="Message")


class _Record(WireModel):
    message: _OfTheTopic = Field(alias="Sns")


class _Delivery(WireModel):
    """What SNS invokes a function with (SNS Developer Guide, "Fanout to Lambda functions"): one message."""

    records: tuple[_Record, ...] = Field(alias="Records")


def messages_of(event: dict[str, Any]) -> tuple[SlackMessage, ...]:
    """Read what the function was invoked with: by the topic, or by itself for one webhook."""
    if "Records" not in event:
        return (SlackMessage.model_validate(event),)
    found = (record.message for record in _Delivery.model_validate(event).records)
    return tuple(SlackMessage(subject=each.subject, text=each.text) for each in found)


@dataclass(frozen=True)
class SlackAnswer:
    """What came back of a post. `status` is None when nothing did: no connection, or no answer in time."""

    status: int | None
    retry_after_s: float | None = None
    """What Slack asked for beside a 429."""

    @property
    def is_taken(self) -> bool:
        """Whether the channel has the message."""
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        """Say it without the address, which is a secret."""
        return "no answer" if self.status is None else f"HTTP {self.status}"
