"""What was seen of a machine that did not become reachable in time, in words: the likeliest cause, and its console."""

import re
from typing import Final

from runctl.model.machine import MachineState, MachineView
from runctl.policy.sentences import machine_state, shorten

_NO_PYTHON: Final = re.compile(r"runctl: .*no Python 3\.\d+ or newer")
_NO_WAY_OUT: Final = re.compile(
    r"runctl: .*(timed out|Name or service not known|Temporary failure in name resolution|Network is unreachable|"
    r"No route to host|Connection refused)"
)
"""What Python says of a host that it cannot find or reach, in a line of our user data (`runctl/agent/bootstrap.py`)."""

_REFUSED: Final = re.compile(r"runctl: fetching the agent: HTTP Error 403")
_LINES: Final = 3
_CHARACTERS: Final = 300


def what_was_seen(
    state: MachineState | None, online: bool | None, view: MachineView | None, console: str | None
) -> str:
    """Say what EC2 and SSM answered, why that may be, and what the machine printed last; `console` is None where it
    could not be read."""
    parts = [f"{machine_state(state, online)}.", _cause(view, console, online=online), _last_lines(console)]
    return " ".join(part for part in parts if part)


def _cause(view: MachineView | None, console: str | None, *, online: bool | None) -> str:
    if view is None:
        return ""
    runs, printed = view.state is MachineState.RUNNING, console or ""
    if runs and not view.has_instance_profile:
        return "It has no instance profile, so that neither SSM's agent nor runctl's may call AWS."
    if _NO_PYTHON.search(printed):
        return "It has no Python 3.11 or newer, and none could be installed."
    if _REFUSED.search(printed):
        return "Its role was refused the agent's archive in S3."
    addressless = "" if view.public_address else ": it has no public address, and perhaps no NAT"
    if _NO_WAY_OUT.search(printed):
        return f"It found no way to AWS over HTTPS{addressless}."
    if runs and online is False and not view.public_address:
        return f"It may have no route to SSM{addressless}."
    return ""


def _last_lines(console: str | None) -> str:
    if console is None:
        return ""
    lines = [line.strip() for line in console.splitlines() if line.strip()]
    if not lines:
        return "Its console shows nothing."
    return f'Its console ends with: "{shorten(" | ".join(lines[-_LINES:]), _CHARACTERS)}".'
