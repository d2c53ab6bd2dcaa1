"""The short scripts that SSM runs on a machine (docs/architecture.md, "Between controller and machine")."""

from typing import Final

from runctl.controller.ports import Commands
from runctl.model.attempt import Attempt

_AGENT: Final = '"${RUNCTL_ROOT:-/opt/runctl}/agent/current/bin/runctl-agent"'
_COMMENT_CHARACTERS: Final = 100
"""SSM API Reference, `SendCommand`: the longest `Comment`."""


def send_start(commands: Commands, attempt: Attempt) -> str:
    """Start the attempt's training; a second start changes nothing on the machine. Answers the command id."""
    return _send(commands, attempt, "start")


def send_stop(commands: Commands, attempt: Attempt, *, now: bool = False) -> str:
    """Ask the training to save and leave, or with `now` just to leave."""
    return _send(commands, attempt, "stop", " --now" if now else "")


def send_notice(commands: Commands, attempt: Attempt) -> str:
    """Tell the agent of EC2's warning, in case its own look at the instance metadata fails."""
    return _send(commands, attempt, "notice")


def _send(commands: Commands, attempt: Attempt, verb: str, option: str = "") -> str:
    if attempt.instance_id is None:
        raise ValueError("an attempt without a machine cannot be sent a command")
    script = f"{_AGENT} {verb} {attempt.run_id} {attempt.number}{option}"
    comment = f"runctl {verb} {attempt.run_id} attempt {attempt.number}"
    return commands.send(attempt.instance_id, script, comment=comment[:_COMMENT_CHARACTERS])
