"""Run Command's calls: what a command and an invocation look like to the caller."""

from datetime import datetime
from pathlib import Path
from typing import Any

from runctl.local.machines.ssm.run_command import (
    DOCUMENT,
    PLUGIN,
    Command,
    Invocation,
    RunCommand,
    elapsed_text,
    moment_text,
)
from runctl.local.machines.wire.errors import AwsError, unsupported
from runctl.local.machines.wire.pages import page

Json = dict[str, Any]

_STDOUT_SHOWN = 24_000
_STDERR_SHOWN = 8_000
"""GetCommandInvocation shows this many characters (Systems Manager API Reference)."""
_PLUGIN_OUTPUT_SHOWN = 2_500


class CommandCalls:
    """SendCommand and its sisters."""

    def __init__(self, run_command: RunCommand) -> None:
        self._run_command = run_command

    async def send(self, parameters: Json) -> Json:
        """SendCommand."""
        return {"Command": _command_view(await self._run_command.send(parameters))}

    async def get_invocation(self, parameters: Json) -> Json:
        """GetCommandInvocation; output only once the command has ended."""
        command = self._run_command.commands.get(parameters["CommandId"])
        invocation = command.invocations.get(parameters["InstanceId"]) if command is not None else None
        plugin = parameters.get("PluginName", PLUGIN)
        if command is None or invocation is None:
            raise AwsError("InvocationDoesNotExist", "")
        if plugin != PLUGIN:
            raise AwsError("InvalidPluginName", "The plugin name isn't valid.")
        return {
            "CommandId": command.command_id,
            "InstanceId": invocation.instance_id,
            "Comment": command.comment,
            "DocumentName": DOCUMENT,
            "DocumentVersion": "$DEFAULT",
            "PluginName": PLUGIN,
            "ResponseCode": invocation.code,
            "ExecutionStartDateTime": moment_text(invocation.started_at),
            "ExecutionElapsedTime": elapsed_text(invocation),
            "ExecutionEndDateTime": moment_text(invocation.ended_at),
            "Status": invocation.status,
            "StatusDetails": invocation.details,
            "StandardOutputContent": "" if invocation.is_open else _head(invocation.stdout, _STDOUT_SHOWN),
            "StandardOutputUrl": "",
            "StandardErrorContent": "" if invocation.is_open else _head(invocation.stderr, _STDERR_SHOWN),
            "StandardErrorUrl": "",
            "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
        }

    async def list_commands(self, parameters: Json) -> Json:
        """ListCommands, newest first."""
        commands = self._wanted(parameters)
        if "InstanceId" in parameters:
            commands = [command for command in commands if parameters["InstanceId"] in command.invocations]
        for each in parameters.get("Filters", []):
            commands = [command for command in commands if _passes(command, command.status, each)]
        shown, next_token = page(
            commands,
            lambda command: f"{command.requested_at.timestamp():020.6f} {command.command_id}",
            limit=parameters.get("MaxResults"),
            token=parameters.get("NextToken"),
            invalid_token=AwsError("InvalidNextToken", "The specified token isn't valid."),
            descending=True,
        )
        return {"Commands": [_command_view(command) for command in shown], "NextToken": next_token}

    async def list_invocations(self, parameters: Json) -> Json:
        """ListCommandInvocations, newest first."""
        pairs = [
            (command, invocation) for command in self._wanted(parameters) for invocation in command.invocations.values()
        ]
        if "InstanceId" in parameters:
            pairs = [pair for pair in pairs if pair[1].instance_id == parameters["InstanceId"]]
        for each in parameters.get("Filters", []):
            pairs = [pair for pair in pairs if _passes(pair[0], pair[1].status, each)]
        shown, next_token = page(
            pairs,
            lambda pair: f"{pair[0].requested_at.timestamp():020.6f} {pair[0].command_id} {pair[1].instance_id}",
            limit=parameters.get("MaxResults"),
            token=parameters.get("NextToken"),
            invalid_token=AwsError("InvalidNextToken", "The specified token isn't valid."),
            descending=True,
        )
        details = parameters.get("Details", False)
        return {
            "CommandInvocations": [_invocation_view(*pair, details=details) for pair in shown],
            "NextToken": next_token,
        }

    async def cancel(self, parameters: Json) -> Json:
        """CancelCommand."""
        self._run_command.cancel(parameters["CommandId"], parameters.get("InstanceIds", []))
        return {}

    def _wanted(self, parameters: Json) -> list[Command]:
        if "CommandId" in parameters:
            return [self._run_command.command(parameters["CommandId"])]
        return list(self._run_command.commands.values())


def _passes(command: Command, status: str, wanted: Json) -> bool:
    """Whether a command or an invocation passes a `CommandFilter`."""
    value = wanted["value"]
    match wanted["key"]:
        case "Status":
            return status == value
        case "DocumentName":
            return value == DOCUMENT
        case "InvokedAfter":
            return command.requested_at > datetime.fromisoformat(value)
        case "InvokedBefore":
            return command.requested_at < datetime.fromisoformat(value)
        case other:
            raise unsupported(f"The filter {other}")


def _command_view(command: Command) -> Json:
    invocations = command.invocations.values()
    return {
        "CommandId": command.command_id,
        "DocumentName": DOCUMENT,
        "DocumentVersion": "$DEFAULT",
        "Comment": command.comment,
        "ExpiresAfter": command.expires_at,
        "Parameters": command.parameters,
        "InstanceIds": list(command.invocations),
        "Targets": [],
        "RequestedDateTime": command.requested_at,
        "Status": command.status,
        "StatusDetails": command.status,
        "MaxConcurrency": "50",
        "MaxErrors": "0",
        "TargetCount": len(invocations),
        "CompletedCount": sum(not invocation.is_open for invocation in invocations),
        "ErrorCount": sum(invocation.status in ("Failed", "TimedOut") for invocation in invocations),
        "TimeoutSeconds": command.timeout_s,
    }


def _invocation_view(command: Command, invocation: Invocation, *, details: bool) -> Json:
    view: Json = {
        "CommandId": command.command_id,
        "InstanceId": invocation.instance_id,
        "InstanceName": "",
        "Comment": command.comment,
        "DocumentName": DOCUMENT,
        "DocumentVersion": "$DEFAULT",
        "RequestedDateTime": command.requested_at,
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": [],
    }
    if details:
        view["CommandPlugins"] = [
            {
                "Name": PLUGIN,
                "Status": invocation.status,
                "StatusDetails": invocation.details,
                "ResponseCode": invocation.code,
                "ResponseStartDateTime": invocation.started_at,
                "ResponseFinishDateTime": invocation.ended_at,
                "Output": "" if invocation.is_open else _head(invocation.stdout, _PLUGIN_OUTPUT_SHOWN),
            }
        ]
    return view


def _head(file: Path, characters: int) -> str:
    """The first characters of a file."""
    if not file.exists():
        return ""
    with file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(characters)
