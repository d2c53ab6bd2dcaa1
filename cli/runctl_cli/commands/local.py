"""`runctl local …`: the group; its verbs are in local_cloud.py and local_faults.py."""

from typing import Final

from runctl_cli.root import LazyGroup, VerbEntry

_CLOUD: Final = "runctl_cli.commands.local_cloud"
_FAULTS: Final = "runctl_cli.commands.local_faults"

local = LazyGroup(
    name="local",
    verbs={
        "up": VerbEntry(f"{_CLOUD}:up", "Start it and deploy the stack; a second time changes nothing."),
        "down": VerbEntry(f"{_CLOUD}:down", "End it, with its machines and its runs."),
        "status": VerbEntry(f"{_CLOUD}:status", "Say whether it is up, and where."),
        "env": VerbEntry(f"{_CLOUD}:env", "Print export lines for the AWS CLI and SDKs."),
        "logs": VerbEntry(f"{_CLOUD}:logs", "Print what it logged."),
        "interrupt": VerbEntry(f"{_FAULTS}:interrupt", "Take a spot machine back, as EC2 does."),
        "kill": VerbEntry(f"{_FAULTS}:kill", "End a machine at once, as a failed host does."),
        "no-capacity": VerbEntry(f"{_FAULTS}:no_capacity", "Let capacity pools be empty for a while."),
    },
    help="The cloud on this machine: up, down, faults.",
    epilog="\b\nExamples:\n  runctl local up\n  runctl local interrupt last --notice 10s",
    no_args_is_help=True,
)
