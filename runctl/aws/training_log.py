"""CloudWatch Logs: what the training of an attempt printed, one stream an attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from runctl.aws.errors import aws_errors, code_of

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_logs.type_defs import GetLogEventsRequestTypeDef, OutputLogEventTypeDef

PAGE_LINES: Final = 10_000
"""GetLogEvents answers at most this many lines, or 1 MB (CloudWatch Logs API Reference)."""


@dataclass(frozen=True)
class LogLine:
    """One line that the training printed; `at_ms` in milliseconds since 1970, UTC."""

    at_ms: int
    text: str


@dataclass(frozen=True)
class LogPage:
    """Lines, oldest first, and the token to read on from: later, when there is nothing yet."""

    lines: tuple[LogLine, ...]
    next_token: str | None


class TrainingLog:
    """Reads the streams of one log group."""

    def __init__(self, client: "CloudWatchLogsClient", log_group: str) -> None:
        self._client = client
        self._log_group = log_group

    def page(self, stream: str, token: str | None = None) -> LogPage:
        """Read on from `token`, or from the start; an empty page is the end for now.

        A stream that is not there yet is empty and gives back the token it got.
        """
        while True:
            page = self._page(stream, token)
            # CloudWatch Logs may answer an empty page in the middle; the end is where the token comes back unchanged
            # (API Reference, GetLogEvents).
            if page.lines or page.next_token == token:
                return page
            token = page.next_token

    def tail(self, stream: str, lines: int) -> LogPage:
        """Read the last lines, and the token to follow from."""
        with aws_errors():
            try:
                answer = self._client.get_log_events(
                    logGroupName=self._log_group,
                    logStreamName=stream,
                    startFromHead=False,
                    limit=min(lines, PAGE_LINES),
                )
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise
                return LogPage((), None)
        return LogPage(_lines(answer["events"]), answer.get("nextForwardToken"))

    def _page(self, stream: str, token: str | None) -> LogPage:
        request: GetLogEventsRequestTypeDef = {
            "logGroupName": self._log_group,
            "logStreamName": stream,
            "startFromHead": True,
            "limit": PAGE_LINES,
        }
        if token is not None:
            request["nextToken"] = token
        with aws_errors():
            try:
                answer = self._client.get_log_events(**request)
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise
                return LogPage((), token)
        return LogPage(_lines(answer["events"]), answer.get("nextForwardToken") or token)


def _lines(events: "Sequence[OutputLogEventTypeDef]") -> tuple[LogLine, ...]:
    return tuple(LogLine(at_ms=event.get("timestamp", 0), text=event.get("message", "")) for event in events)
