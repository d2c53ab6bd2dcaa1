"""The entry point, and the one boundary at which errors become a sentence, a hint and an exit code."""

import io
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import click

from runctl.errors import RunctlError, UsageError
from runctl_cli.faults import Interrupted, Unexpected
from runctl_cli.invocation import Invocation
from runctl_cli.output import OutputFormat, print_failure, print_trace
from runctl_cli.root import root
from runctl_cli.traces import keep_trace
from runctl_cli.wiring import Wiring


def main(arguments: Sequence[str] | None = None, wiring: Wiring | None = None) -> int:
    """Run one command and return its exit code (see docs/errors.md).

    `wiring` says how the deployment and the local cloud are reached; tests give their own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation(wiring=wiring or Wiring(), output=_asked_output(words))
    _show_what_the_terminal_can()
    # https://no-color.org: whatever its value, if it is not empty. Errors are told outside of any command's context.
    color = False if os.environ.get("NO_COLOR") else None
    with click.Context(root, color=color):
        return _run(invocation, words, color)


def _show_what_the_terminal_can() -> None:
    """Let a character that the terminal's encoding lacks be shown as a question mark, rather than be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _run(invocation: Invocation, words: list[str], color: bool | None) -> int:
    try:
        root.main(args=words, prog_name="runctl", standalone_mode=False, obj=invocation, color=color)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:
        # The reader has gone (`runctl logs RUN | head`); Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RunctlError as error:
        return _fail(invocation, error)
    except click.exceptions.NoArgsIsHelpError as error:
        if invocation.output is OutputFormat.TEXT:
            click.echo(error.format_message(), err=True)
            return UsageError.exit_code
        path = _command_path(error)
        return _fail(invocation, UsageError("A command is missing.", hint=f"See: {path} --help"))
    except click.ClickException as error:
        path = _command_path(error)
        invocation.command = invocation.command or path.partition(" ")[2]
        return _fail(invocation, _usage_error(error, path))
    except (click.Abort, KeyboardInterrupt):
        return _fail(invocation, Interrupted("Interrupted.", hint="See what there is with: runctl ps"))
    except Exception as error:  # noqa: BLE001 - the boundary; what else comes is a fault of ours
        trace = traceback.format_exc()
        return _fail(invocation, Unexpected(error, keep_trace(trace, words)), trace)
    return invocation.exit_code


def _fail(invocation: Invocation, error: RunctlError, trace: str = "") -> int:
    """Tell the error on stderr, or as the JSON document on stdout, and return its exit code."""
    if invocation.debug:
        print_trace(trace or "".join(traceback.format_exception(error)))
    print_failure(invocation.output, invocation.command, [error])
    return error.exit_code


def _command_path(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return context.command_path if context else "runctl"


def _usage_error(error: click.ClickException, path: str) -> UsageError:
    """Turn click's complaint into ours, with the near name and the command whose help to read."""
    message = error.message
    hint = f"See: {path} --help"
    if isinstance(error, click.NoSuchOption):
        if path == "runctl train":
            hint = f"Arguments of the script go after two dashes: runctl train SCRIPT -- {error.option_name}. {hint}"
        hint = f"{_did_you_mean(error.option_name, error.possibilities)}{hint}"
    elif isinstance(error, click.exceptions.NoSuchCommand):
        hint = f"{_did_you_mean(error.command_name, error.possibilities)}{hint}"
    elif isinstance(error, click.BadParameter):
        message = error.format_message()
    return UsageError(message, hint=hint)


def _did_you_mean(typed: str, known: Iterable[str] | None) -> str:
    near = get_close_matches(typed, list(known or ()), n=2, cutoff=0.65)
    return f"Did you mean {' or '.join(near)}? " if near else ""


def _asked_output(words: Sequence[str]) -> OutputFormat:
    """Read `--output` ahead of the parser, so that even a command line that cannot be parsed is answered in it."""
    for position, word in enumerate(words):
        if word == "--":
            break
        value = (
            words[position + 1] if word == "--output" and position + 1 < len(words) else word.removeprefix("--output=")
        )
        if value == OutputFormat.JSON and word.startswith("--output"):
            return OutputFormat.JSON
    return OutputFormat.TEXT


if __name__ == "__main__":
    sys.exit(main())
