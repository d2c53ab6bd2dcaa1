"""The log of a run, across its attempts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runctl.aws.training_log import LogLine
from runctl.client.deployment import Deployment
from runctl.errors import NotFoundError
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.keys import log_stream

_LOOK_S: Final = 0.5
"""Time between two reads of a log that is followed: with the agent's second between two batches a line is shown
within 1.5 s. CloudWatch Logs allows 25 reads a second and account (its quotas page): a dozen who follow at once."""

_LATE_LOOKS: Final = 4
"""Empty reads after the end before the log is taken to be whole: lines need a moment to become readable."""


@dataclass(frozen=True)
class LogEntry:
    """One line of the log, and the attempt that printed it."""

    attempt: AttemptNumber
    line: LogLine


def follow_log(
    deployment: Deployment,
    run_id: RunId,
    *,
    attempt: AttemptNumber | None,
    follow: bool,
    sleep: Callable[[float], None],
) -> Iterator[LogEntry]:
    """Go through the lines of one attempt or of all, in order; with `follow` until the run has ended.

    Raises NotFoundError when the run, or the attempt that was asked for, is not there.
    """
    number = attempt or AttemptNumber(1)
    while True:
        run = deployment.runs.run(run_id)
        if run is None:
            raise NotFoundError(f"There is no run {run_id}.", hint="List runs with: runctl ps")
        if attempt is not None and attempt > run.attempt and not (follow and not run.status.is_terminal):
            raise NotFoundError(
                f"The run {run_id} has no attempt {attempt}; it has had {run.attempt}.",
                hint=f"See them with: runctl status {run_id}",
            )
        yield from _attempt_lines(deployment, run_id, number, follow=follow, sleep=sleep)
        if attempt is not None:
            return
        run = deployment.runs.run(run_id) or run
        if number < run.attempt:
            number = AttemptNumber(number + 1)
        elif not follow or run.status.is_terminal:
            return


def last_lines(
    deployment: Deployment, run_id: RunId, attempts: Sequence[AttemptNumber], count: int
) -> tuple[LogEntry, ...]:
    """Read the last lines of a run's log, from as many of its attempts as it takes; the rest of it is not read."""
    found: tuple[LogEntry, ...] = ()
    for number in sorted(attempts, reverse=True):
        page = deployment.logs.tail(log_stream(run_id, number), count - len(found))
        found = tuple(LogEntry(number, line) for line in page.lines) + found
        if len(found) >= count:
            break
    return found


def _attempt_lines(
    deployment: Deployment, run_id: RunId, number: AttemptNumber, *, follow: bool, sleep: Callable[[float], None]
) -> Iterator[LogEntry]:
    """Go through the lines of one attempt; with `follow` until the run has ended or a newer attempt began."""
    token: str | None = None
    empty_looks = 0
    while True:
        run = deployment.runs.run(run_id)
        is_over = run is None or run.status.is_terminal or run.attempt > number
        page = deployment.logs.page(log_stream(run_id, number), token)
        for line in page.lines:
            yield LogEntry(number, line)
        # At the end CloudWatch Logs answers the token that it was given (API Reference, GetLogEvents); a page may
        # be empty without being the last.
        at_end = not page.lines and page.next_token in (token, None)
        token = page.next_token
        if not at_end:
            empty_looks = 0
            continue
        empty_looks += 1
        if not follow or (is_over and empty_looks >= _LATE_LOOKS):
            return
        sleep(_LOOK_S)
