"""Runs one command while a training is made ready: its words go to the log, and it can be given up."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runctl.agent.run_log import RunLog
from runctl.agent.setup_error import SetupCancelledError, SetupError

LOOK_S = 0.1


def run_setup_command(
    command: Sequence[str],
    *,
    name: str,
    log: RunLog,
    cancelled: Callable[[], bool],
    environment: Mapping[str, str],
    folder: Path | None = None,
    feed: Path | None = None,
) -> None:
    """Run it to its end; it reads what stands in `feed`, or nothing.

    Raises SetupError when it fails, SetupCancelledError when somebody asked for the end.
    """
    try:
        with log.open() as out, (feed or Path(os.devnull)).open("rb") as given:
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,
            )
    except OSError as error:
        raise SetupError(f"{name} could not be started: {error}") from error
    while True:
        try:
            code = process.wait(LOOK_S)
            break
        except subprocess.TimeoutExpired:
            if cancelled():
                _kill_group(process)
                raise SetupCancelledError from None
    if code < 0:
        raise SetupError(f"{name} was ended by signal {-code}")
    if code > 0:
        raise SetupError(f"{name} ended with exit code {code}")


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
