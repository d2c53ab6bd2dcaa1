"""The agent's commands, as `bin/runctl-agent` passes them on."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from runctl.agent.guard import guard
from runctl.agent.layout import AttemptFolder, root
from runctl.agent.power import MachinePower
from runctl.agent.request_files import Request, leave
from runctl.agent.start import StartFailedError, start


def main(arguments: Sequence[str]) -> int:
    """Run one command; answers its exit code. Only the commands that call AWS import botocore, for it is slow."""
    parsed = _parser().parse_args(arguments)
    machine_root = root()
    if parsed.command == "announce":
        from runctl.agent.wiring import announce_machine

        return announce_machine(machine_root, _say)
    folder = AttemptFolder.of(machine_root, parsed.run, parsed.attempt)
    match parsed.command:
        case "start":
            return _start(folder, parsed.run, parsed.attempt)
        case "stop":
            leave(folder.requests, Request.STOP_NOW if parsed.now else Request.STOP)
        case "notice":
            leave(folder.requests, Request.NOTICE)
        case "guard":
            return guard([str(_program()), "supervise", parsed.run, str(parsed.attempt)], MachinePower(), _say)
        case _:
            from runctl.agent.wiring import supervise_attempt

            return supervise_attempt(machine_root, folder, parsed.run, parsed.attempt, _say)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="runctl-agent", description="Runs trainings on this machine for runctl.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("announce", help="tell the controller that this machine is ready")
    for name, text in {
        "start": "start an attempt's supervisor; does nothing when there is one",
        "stop": "ask a training to save and leave",
        "notice": "ask the instance metadata for a notice at once",
        "guard": "start an attempt's supervisor and start it again when it dies",
        "supervise": "be the supervisor of an attempt",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("run")
        command.add_argument("attempt", type=int)
        if name == "stop":
            command.add_argument("--now", action="store_true", help="end it at once; nothing more is saved")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"runctl-agent: {text}\n")
    sys.stderr.flush()


def _program() -> Path:
    return Path(__file__).resolve().parents[3] / "bin" / "runctl-agent"


def _start(folder: AttemptFolder, run_id: str, attempt: int) -> int:
    try:
        is_new = start(folder, run_id, attempt, _program())
    except StartFailedError as error:
        _say(str(error))
        return 1
    if not is_new:
        _say("this attempt was started before")
    return 0
