"""Waiting for the end of a run at the terminal: changes are told, Ctrl-C only lets go."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from runctl.model.status import EXIT_CODE_OF_REASON, Reason
from runctl_cli.faults import ERROR_OF_REASON, Interrupted
from runctl_cli.invocation import Invocation
from runctl_cli.run_text import print_run

if TYPE_CHECKING:
    from runctl.errors import RunctlError
    from runctl.model.run import Run


def wait_and_answer(invocation: Invocation, run: "Run") -> None:
    """Wait for the run's end and answer with its result: the exit code is the training's (docs/errors.md)."""
    client = invocation.client
    invocation.say(f"Waiting for run {run.run_id}. Ctrl-C lets go; the run goes on without this terminal.")
    told: set[str] = set()

    def tell(current: "Run") -> None:
        # The timeline has what happened, however short it stood as the run's own sentence.
        new = [event for event in client.events(current.run_id) if event.event_id not in told]
        for event in new:
            told.add(event.event_id)
            say(event.at, event.kind.value, event.text)
        line = f"{current.status.value} {current.message}"
        if not new and line not in told:
            told.add(line)
            say(datetime.now(UTC), current.status.value, current.message)

    def say(at: datetime, what: str, text: str) -> None:
        invocation.say(f"{at.astimezone().strftime('%H:%M:%S')}  {what:<21}  {text}")

    try:
        ended = client.wait(run.run_id, tell)
    except KeyboardInterrupt:
        answer_detached(invocation, run, client.document(run), lambda: click.echo(run.run_id))
        return
    answer_end(invocation, ended)


def answer_end(invocation: Invocation, ended: "Run") -> None:
    """Answer with a run that has ended: its result is the command's."""
    client = invocation.client
    error = error_of_end(ended)
    if error is None:
        invocation.say("Training completed successfully")
    attempts = client.priced(client.attempts(ended.run_id))
    invocation.answer(
        client.document(ended),
        lambda: print_run(invocation, ended, attempts),
        errors=() if error is None else (error,),
        exit_code=EXIT_CODE_OF_REASON[ended.reason or Reason.CONTROLLER],
    )


def answer_detached(
    invocation: Invocation, run: "Run", data: Any, text: Callable[[], None] | None = None, *, again: str = ""
) -> None:
    """Ctrl-C: say that the run goes on, and how to come back (`again`, else by its log); `data` is what the command has
    to tell till then."""
    error = Interrupted(
        f"Detached from run {run.run_id}; it goes on.",
        hint=f"Come back with: {again or f'runctl logs {run.run_id} -f'}. End it with: runctl cancel {run.run_id}",
    )
    invocation.say()  # the terminal stands behind its ^C
    invocation.answer(data, text, errors=(error,), exit_code=error.exit_code)


def error_of_end(run: "Run") -> "RunctlError | None":
    """Read the end of a run as an error; None for a success."""
    if run.reason is None or run.reason is Reason.COMPLETED:
        return None
    return ERROR_OF_REASON[run.reason](
        run.message or f"The run ended as {run.status.value}: {run.reason.value}.",
        hint=f"See what it printed with: runctl logs {run.run_id}",
    )
