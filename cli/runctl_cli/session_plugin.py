"""AWS's Session Manager plugin, which speaks to the machine: found, told of a session, and ended."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from runctl_cli.faults import PluginMissing

if TYPE_CHECKING:
    from runctl.aws.sessions import Session

_NAME: Final = "session-manager-plugin"

_VARIABLE: Final = "AWS_SSM_START_SESSION_RESPONSE"
_TAKES_VARIABLE_AFTER: Final = (1, 2, 497, 0)
"""A newer plugin takes the session's token from a variable, which other users of this computer do not see, in place of
an argument, which they do (AWS CLI, `aws ssm start-session`)."""

_ASKING_LIMIT_S: Final = 10


class SessionPlugin:
    """The plugin that is installed here."""

    def __init__(self, path: str, *, profile: str | None) -> None:
        self._path = path
        self._profile = profile or ""
        self._takes_variable = _version(path) > _TAKES_VARIABLE_AFTER

    @classmethod
    def find(cls, profile: str | None) -> "SessionPlugin":
        """Look for it in PATH. Raises PluginMissing."""
        path = shutil.which(_NAME)
        if path is None:
            raise PluginMissing(
                "AWS's Session Manager plugin is not installed here.",
                hint="Install it as https://docs.aws.amazon.com/systems-manager/latest/userguide/"
                "session-manager-working-with-install-plugin.html says; on macOS: "
                "brew install --cask session-manager-plugin",
            )
        return cls(path, profile=profile)

    def run(self, session: "Session") -> int:
        """Speak to the machine in this terminal until the session ends; answers the plugin's exit code.

        Ctrl-C and Ctrl-Z belong to the machine meanwhile.
        """
        ours = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTSTP)}
        try:
            return subprocess.run(self._arguments(session), env=self._environment(session), check=False).returncode
        finally:
            for number, handler in ours.items():
                signal.signal(number, handler)

    @contextmanager
    def beside(self, session: "Session") -> Generator[None]:
        """Let it bring a port here meanwhile."""
        process = subprocess.Popen(
            self._arguments(session),
            env=self._environment(session),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def _arguments(self, session: "Session") -> list[str]:
        """In the order in which the AWS CLI gives them."""
        response = _VARIABLE if self._takes_variable else json.dumps(session.response)
        return [
            self._path,
            response,
            session.region,
            "StartSession",
            self._profile,
            json.dumps(session.request),
            session.endpoint_url,
        ]

    def _environment(self, session: "Session") -> dict[str, str]:
        more = {_VARIABLE: json.dumps(session.response)} if self._takes_variable else {}
        return {**os.environ, **more}


def _version(path: str) -> tuple[int, ...]:
    """Ask which version it is; one that does not say is taken for an old one."""
    try:
        asked = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_ASKING_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\d+(?:\.\d+)+", asked.stdout)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
