"""Run Command: AWS-RunShellScript, really executed in the machine.

Statuses and time limits: Systems Manager User Guide, "Understanding command statuses"; parameters of the document:
"AWS-RunShellScript" in the document reference.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from runctl.local.machines.clock import now, seconds_iso
from runctl.local.machines.events import EventPublisher
from runctl.local.machines.keeper import MachineKeeper
from runctl.local.machines.machine import Machine
from runctl.local.machines.rights import Rights
from runctl.local.machines.ssm.agents import Agents
from runctl.local.machines.wire.errors import AwsError, unsupported

Json = dict[str, Any]

DOCUMENT = "AWS-RunShellScript"
PLUGIN = "aws:runShellScript"
_DELIVERY_TIMEOUT_S = 3600
_EXECUTION_TIMEOUT_S = 3600
_EXECUTION_LIMIT_S = 172_800
_INSTANCES_LIMIT = 50
_DOCUMENT_PARAMETERS = frozenset({"commands", "workingDirectory", "executionTimeout"})
_KILLED_CODE = 137

PENDING, IN_PROGRESS, SUCCESS, FAILED = "Pending", "InProgress", "Success", "Failed"
TIMED_OUT, CANCELLED, CANCELLING = "TimedOut", "Cancelled", "Cancelling"
_OPEN = frozenset({PENDING, IN_PROGRESS, CANCELLING})


@dataclass
class Invocation:
    """One command on one machine."""

    instance_id: str
    directory: Path
    status: str = PENDING
    details: str = PENDING
    code: int = -1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    limit: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may still change."""
        return self.status in _OPEN

    @property
    def stdout(self) -> Path:
        """What the command wrote."""
        return self.directory / "stdout"

    @property
    def stderr(self) -> Path:
        """What the command complained about."""
        return self.directory / "stderr"


@dataclass
class Command:
    """A command that was sent."""

    command_id: str
    parameters: dict[str, list[str]]
    comment: str
    timeout_s: int
    execution_timeout_s: int
    requested_at: datetime
    status: str = PENDING
    invocations: dict[str, Invocation] = field(default_factory=dict[str, Invocation])

    @property
    def expires_at(self) -> datetime:
        """When it is over at the latest (SSM API Reference, Command.ExpiresAfter)."""
        return self.requested_at + timedelta(seconds=self.timeout_s + self.execution_timeout_s)


class RunCommand:
    """Sends commands to machines and keeps what became of them, while the server runs."""

    def __init__(self, keeper: MachineKeeper, agents: Agents, events: EventPublisher, rights: Rights) -> None:
        self._keeper = keeper
        self._agents = agents
        self._events = events
        self._rights = rights
        self.commands: dict[str, Command] = {}

    def shutdown(self) -> None:
        """Forget all time limits."""
        for command in self.commands.values():
            for invocation in command.invocations.values():
                _disarm(invocation)

    async def send(self, parameters: Json) -> Command:
        """SendCommand; refused as a whole when one named machine is not online."""
        if parameters["DocumentName"].rsplit("/", 1)[-1] != DOCUMENT:
            raise unsupported(f"The document {parameters['DocumentName']} (only {DOCUMENT})")
        given = cast("dict[str, list[str]]", parameters.get("Parameters", {}))
        command = Command(
            command_id=str(uuid4()),
            parameters=given,
            comment=parameters.get("Comment", ""),
            timeout_s=parameters.get("TimeoutSeconds", _DELIVERY_TIMEOUT_S),
            execution_timeout_s=_check_document_parameters(given),
            requested_at=now(),
        )
        named = [
            machine for each in parameters.get("InstanceIds", []) if (machine := self._keeper.get(each)) is not None
        ]
        self._rights.check_command(DOCUMENT, named)
        machines = self._targets(parameters)
        self._rights.check_command(DOCUMENT, [machine for machine in machines if machine not in named])
        for machine in machines:
            directory = self._keeper.sandbox(machine.instance_id).log / "ssm" / command.command_id
            command.invocations[machine.instance_id] = Invocation(machine.instance_id, directory)
        self.commands[command.command_id] = command
        self._tell_command(command)
        for invocation in command.invocations.values():
            self._deliver(command, invocation)
        return command

    def command(self, command_id: str) -> Command:
        """A command by its id."""
        if command_id not in self.commands:
            raise AwsError("InvalidCommandId", "The specified command ID isn't valid.")
        return self.commands[command_id]

    def cancel(self, command_id: str, instance_ids: list[str]) -> None:
        """CancelCommand: kill what runs; what has ended stays as it is."""
        command = self.command(command_id)
        for instance_id in instance_ids or list(command.invocations):
            invocation = command.invocations.get(instance_id)
            if invocation is None:
                raise AwsError("InvalidInstanceId", f"The command was not sent to {instance_id}.")
            if invocation.status == PENDING:
                self._end(command, invocation, CANCELLED, CANCELLED, -1)
            elif invocation.is_open:
                invocation.status = invocation.details = CANCELLING
                self._keeper.cancel(instance_id, command.command_id)

    def _targets(self, parameters: Json) -> list[Machine]:
        named = parameters.get("InstanceIds", [])
        if bool(named) == bool(parameters.get("Targets")):
            raise AwsError("InvalidParameters", "Give either InstanceIds or Targets.")
        if len(named) > _INSTANCES_LIMIT:
            raise AwsError("ValidationException", f"At most {_INSTANCES_LIMIT} instance ids can be given.")
        for target in parameters.get("Targets", []):
            if target["Key"] == "InstanceIds":
                named = [*named, *target["Values"]]
        if not parameters.get("Targets") or named:
            return [self._reachable(instance_id) for instance_id in dict.fromkeys(named)]
        machines = [machine for machine in self._keeper.all() if self._agents.is_reachable(machine)]
        for target in parameters["Targets"]:
            machines = [machine for machine in machines if _is_targeted(machine, target)]
        return machines

    def _reachable(self, instance_id: str) -> Machine:
        machine = self._keeper.get(instance_id)
        if machine is None or not self._agents.is_reachable(machine):
            raise AwsError("InvalidInstanceId", f"Instances [[{instance_id}]] not in a valid state for account")
        return machine

    def _deliver(self, command: Command, invocation: Invocation) -> None:
        invocation.directory.mkdir(parents=True, exist_ok=True)
        script = invocation.directory / "_script.sh"
        script.write_text("\n".join(command.parameters["commands"]) + "\n")
        script.chmod(0o700)
        home = self._keeper.sandbox(invocation.instance_id).home
        named = command.parameters.get("workingDirectory", [""])[0]
        request = {
            # Through a shell, so that a script with no first line of its own is run as one.
            "argv": ["/bin/sh", "-c", '"$0"', str(script)],
            "cwd": str(home / named) if named else str(home),
            "stdout": str(invocation.stdout),
            "stderr": str(invocation.stderr),
            "timeout_s": command.execution_timeout_s,
        }
        self._arm(command, invocation, command.timeout_s, "DeliveryTimedOut")
        self._keeper.run(
            invocation.instance_id,
            command.command_id,
            request,
            lambda message: self._heard(command, invocation, message),
        )

    def _heard(self, command: Command, invocation: Invocation, message: Json) -> None:
        if not invocation.is_open:
            return
        if message["event"] == "started":
            invocation.status = invocation.details = IN_PROGRESS
            invocation.started_at = now()
            # The agent ends a command that takes too long; one whose machine is gone ends here, later.
            self._arm(command, invocation, command.execution_timeout_s + command.timeout_s, "ExecutionTimedOut")
            self._tell_invocation(command, invocation)
            self._summarize(command)
            return
        match message["how"]:
            case "timed_out":
                self._end(command, invocation, TIMED_OUT, "ExecutionTimedOut", _KILLED_CODE)
            case "cancelled":
                self._end(command, invocation, CANCELLED, CANCELLED, _KILLED_CODE)
            case _:
                code = message["code"]
                status = SUCCESS if code == 0 else FAILED
                self._end(command, invocation, status, status, code if code >= 0 else 128 - code)

    def _end(self, command: Command, invocation: Invocation, status: str, details: str, code: int) -> None:
        _disarm(invocation)
        invocation.status, invocation.details, invocation.code = status, details, code
        invocation.ended_at = now()
        self._tell_invocation(command, invocation)
        self._summarize(command)

    def _arm(self, command: Command, invocation: Invocation, limit_s: float, details: str) -> None:
        _disarm(invocation)
        loop = asyncio.get_running_loop()
        invocation.limit = loop.call_later(limit_s, self._end, command, invocation, TIMED_OUT, details, -1)

    def _summarize(self, command: Command) -> None:
        """Bring the command's own status up to its invocations'."""
        statuses = {invocation.status for invocation in command.invocations.values()}
        if statuses & _OPEN:
            status = PENDING if statuses == {PENDING} else IN_PROGRESS
        else:
            # The worst that happened; errors allowed (MaxErrors) are always none here.
            status = next((each for each in (FAILED, TIMED_OUT, CANCELLED) if each in statuses), SUCCESS)
        if status != command.status:
            command.status = status
            self._tell_command(command)

    def _tell_command(self, command: Command) -> None:
        self._events.command_changed(
            command_id=command.command_id,
            document_name=DOCUMENT,
            parameters=command.parameters,
            instance_ids=list(command.invocations),
            requested_at=command.requested_at,
            expires_at=command.expires_at,
            status=command.status,
        )

    def _tell_invocation(self, command: Command, invocation: Invocation) -> None:
        self._events.invocation_changed(
            command_id=command.command_id,
            document_name=DOCUMENT,
            instance_id=invocation.instance_id,
            requested_at=command.requested_at,
            status=invocation.status,
        )


def _disarm(invocation: Invocation) -> None:
    if invocation.limit is not None:
        invocation.limit.cancel()
        invocation.limit = None


def _check_document_parameters(given: dict[str, list[str]]) -> int:
    """Check the document's parameters; answer the execution timeout in seconds."""
    unknown = given.keys() - _DOCUMENT_PARAMETERS
    if unknown:
        raise AwsError("InvalidParameters", f"Parameter {min(unknown)} is not defined in the document {DOCUMENT}.")
    if not given.get("commands"):
        raise AwsError("InvalidParameters", "Parameter commands is required.")
    text = given.get("executionTimeout", [str(_EXECUTION_TIMEOUT_S)])[0]
    if not text.isdigit() or not 1 <= int(text) <= _EXECUTION_LIMIT_S:
        raise AwsError("InvalidParameters", f"Parameter executionTimeout must be 1 to {_EXECUTION_LIMIT_S} seconds.")
    return int(text)


def _is_targeted(machine: Machine, target: Json) -> bool:
    key = target["Key"]
    if key == "tag-key":
        return any(value in machine.tags for value in target["Values"])
    if not key.startswith("tag:"):
        raise unsupported(f"A target by {key}")
    return machine.tags.get(key.removeprefix("tag:")) in target["Values"]


def elapsed_text(invocation: Invocation) -> str:
    """ISO 8601 duration from start to end; empty before the end."""
    if invocation.started_at is None or invocation.ended_at is None:
        return ""
    return f"PT{(invocation.ended_at - invocation.started_at).total_seconds():.3f}S"


def moment_text(moment: datetime | None) -> str:
    """A time as GetCommandInvocation writes it; empty when there is none."""
    return seconds_iso(moment) if moment is not None else ""
