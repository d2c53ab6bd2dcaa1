"""The sentences that people read: in the console's Cause, in `status`, in the timeline and in notifications.

Each says what was seen. What to do next stands in `explanations`.
"""

from collections.abc import Mapping
from datetime import timedelta

from runctl.model.agent_event import EndedWhy, TrainingEnded
from runctl.model.attempt import Attempt
from runctl.model.base import clock_text
from runctl.model.machine import MachineState
from runctl.model.run import RunRequest, StopRequest
from runctl.model.status import Reason
from runctl.policy.facts import EX_KILLED, SAVED_RESUME_ME, Departure

ENDED_ON_REQUEST = "Client.UserInitiatedShutdown"
"""The state reason of a machine that somebody with permission ended: runctl itself, or a person."""

_LAST_LINE_CHARACTERS = 300
_MESSAGE_CHARACTERS = 500


def shorten(text: str, limit: int = _MESSAGE_CHARACTERS) -> str:
    """Cut a text that came from outside to one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def duration(span: timedelta) -> str:
    """Write a span as people say it: `45 s`, `12 min`, `3 h 5 min`."""
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def size(count: int, files: int) -> str:
    """Write a size as people say it: `312 bytes`, `80 kB in 2 files`, `1.2 GB in 8 files`."""
    amount, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if amount < 1_000:
            break
        amount, unit = amount / 1_000, larger
    digits = 0 if unit == "bytes" or amount >= 10 else 1
    unit = "byte" if count == 1 else unit
    return f"{amount:.{digits}f} {unit}" + (f" in {files} files" if files != 1 else "")


def machine(attempt: Attempt) -> str:
    """Name the attempt's machine as far as it is known: `spot machine i-0… (g5.xlarge, us-east-1b)`."""
    if attempt.instance_id is None:
        return "machine"
    details = ", ".join(part for part in (attempt.instance_type, attempt.availability_zone) if part)
    option = f"{attempt.purchase_option} " if attempt.purchase_option else ""
    return f"{option}machine {attempt.instance_id}" + (f" ({details})" if details else "")


def pool(instance_type: str, availability_zone: str, option: str) -> str:
    """Name a capacity pool: `spot g5.xlarge in us-east-1b`."""
    return " ".join(
        part for part in (option, instance_type, f"in {availability_zone}" if availability_zone else "") if part
    )


def refusal(error: Mapping[str, str]) -> str:
    """Write one of CreateFleet's errors: which pool, and AWS's code and message."""
    where = pool(
        error.get("instance_type", ""),
        error.get("availability_zone") or error.get("subnet_id", ""),
        error.get("lifecycle", ""),
    )
    message = shorten(error.get("message", ""), 200)
    return f"{where or 'EC2'}: {error.get('code', 'unknown')}" + (f" ({message})" if message else "")


def stop_requested(request: StopRequest) -> str:
    """Say who asked the run to stop, and why."""
    by = f" by {request.requested_by}" if request.requested_by else ""
    match request.reason:
        case Reason.TIMEOUT:
            return f"The run was asked to stop{by} because it reached its time limit."
        case Reason.BUDGET:
            return f"The run was asked to stop{by} because it reached its cost limit."
        case Reason.CANCELLED:
            return f"The run was cancelled{by} at {clock_text(request.requested_at)}."
        case _:
            return f"The run was asked to stop{by} at {clock_text(request.requested_at)}."


def interrupted(attempt: Attempt, when: str = "") -> str:
    """Say that EC2 took a spot machine back."""
    return f"EC2 took the {machine(attempt)} back" + (f" {when}." if when else ".")


def taking_back(attempt: Attempt) -> str:
    """Say that EC2 has announced to take a spot machine back."""
    return f"EC2 takes the {machine(attempt)} back."


def lost(attempt: Attempt, gone: Departure) -> str:
    """Say that a machine is gone that nobody here ended."""
    reason = f": {gone.state_reason}" if gone.state_reason else ""
    message = f" ({shorten(gone.state_message, 200)})" if gone.state_message else ""
    return f"EC2 says that the {machine(attempt)} is {gone.state or 'gone'}{reason}{message}."


def departed(attempt: Attempt, gone: Departure) -> str:
    """Say in the timeline that a machine is going, whoever ended it."""
    if gone.is_spot_interruption:
        return interrupted(attempt)
    if attempt.reason is not None and gone.state_reason in ("", ENDED_ON_REQUEST):
        return f"EC2 ends the {machine(attempt)}, as it was asked to after the attempt."
    return lost(attempt, gone)


def command_failed(attempt: Attempt, status: str) -> str:
    """Say that the start command did not work."""
    return (
        f"SSM says that the command which starts the training on the {machine(attempt)} ended as {status or 'failed'}."
    )


def last_line(ended: TrainingEnded) -> str:
    """The last line of the log that holds anything."""
    return next((shorten(line, _LAST_LINE_CHARACTERS) for line in reversed(ended.last_lines) if line.strip()), "")


def training_ended(ended: TrainingEnded) -> str:
    """Say how the training ended, as the agent reported it."""
    text = _ENDINGS.get(ended.why) or _exited(ended)
    if ended.why in _ASKED_TO_LEAVE:
        text += f" ({_how(ended)})"
    if ended.message:
        text += f": {shorten(ended.message).rstrip('.')}"
    if (line := last_line(ended)) and ended.why not in _ASKED_TO_LEAVE and ended.exit_code not in (0, SAVED_RESUME_ME):
        return f'{text}; its last line was "{line}".'
    return f"{text}."


_ASKED = "The training was asked to save and leave because"
_ENDINGS = {
    EndedWhy.SETUP_FAILED: "The code, the environment or the data could not be made ready",
    EndedWhy.OUT_OF_MEMORY: "The kernel ended the training because the machine's memory was full",
    EndedWhy.CHECKPOINT_MISSING: "The training ended with exit code 0 but without the complete checkpoint it owed",
    EndedWhy.NOTICE: f"{_ASKED} EC2 takes its machine back",
    EndedWhy.DEADLINE: f"{_ASKED} it reached its time limit",
    EndedWhy.STOP: f"{_ASKED} the run was asked to stop",
    EndedWhy.DEAD_MAN: f"{_ASKED} its machine heard nothing from AWS for too long",
}
_ASKED_TO_LEAVE = frozenset({EndedWhy.NOTICE, EndedWhy.DEADLINE, EndedWhy.STOP, EndedWhy.DEAD_MAN})


def _how(ended: TrainingEnded) -> str:
    if not ended.started:
        return "it had not begun"
    if ended.signal is not None:
        return f"ended by signal {ended.signal}"
    return "no exit code" if ended.exit_code is None else f"exit code {ended.exit_code}"


def _exited(ended: TrainingEnded) -> str:
    if ended.signal is not None:
        return f"The training was ended by signal {ended.signal}"
    if ended.exit_code is None:
        return "The training ended without an exit code"
    if ended.exit_code == SAVED_RESUME_ME:
        return f"The training saved and left (exit code {SAVED_RESUME_ME}) although nobody asked it to"
    text = f"The training ended with exit code {ended.exit_code}"
    if ended.exit_code == EX_KILLED:
        text += ", which is what SIGKILL leaves; the kernel reported no lack of memory"
    return text


def code_verified(request: RunRequest, files: int) -> str:
    """Say that the project arrived whole: every file had the hash that the laptop gave it, and the script was there."""
    found = "script and directories" if request.script or request.module else "files and directories"
    return f"Code sync verified: {found} found ({files} {'file' if files == 1 else 'files'})."


def machine_state(state: MachineState | None, online: bool | None) -> str:
    """Say what EC2 and SSM answer when a machine is silent."""
    ec2 = "EC2 does not know it" if state is None else f"EC2 says {state}"
    if online is None:
        return ec2
    return f"{ec2}, SSM says {'online' if online else 'not online'}"
