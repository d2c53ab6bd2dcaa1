"""SNS: `Notifications` of runctl/controller/ports.py."""

import unicodedata
from typing import TYPE_CHECKING, Final

from runctl.aws.errors import aws_errors

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

_MAX_SUBJECT: Final = 100
_MAX_TEXT: Final = 60_000
"""Characters; SNS takes 256 KiB, and a character has four bytes at most."""


class SnsNotifications:
    """Tells the people who subscribed to the topic."""

    def __init__(self, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def send(self, subject: str, text: str) -> None:
        """Tell people. `subject` is cut to SNS's 100 ASCII characters."""
        with aws_errors():
            self._client.publish(TopicArn=self._topic_arn, Subject=ascii_subject(subject), Message=text[:_MAX_TEXT])


def ascii_subject(subject: str) -> str:
    """Make a subject that SNS takes: printable ASCII on one line, 100 characters, beginning with a letter or digit
    (SNS API Reference, Publish)."""
    decomposed = unicodedata.normalize("NFKD", " ".join(subject.split()))
    plain = "".join(
        character if " " <= character <= "~" else "-"
        for character in decomposed
        if not unicodedata.combining(character)
    )
    text = plain.strip("- ")
    if not text:
        return "runctl"
    if not text[0].isalnum():
        text = f"runctl: {text}"
    return text if len(text) <= _MAX_SUBJECT else f"{text[: _MAX_SUBJECT - 3]}..."
