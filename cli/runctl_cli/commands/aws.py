"""`runctl aws …`: machines that somebody keeps. Verbs are imported when they are called."""

from runctl_cli.root import LazyGroup, VerbEntry

_MACHINE = "runctl_cli.commands.aws_machine"

VERBS = {
    "create": VerbEntry("runctl_cli.commands.aws_create:create", "Create a machine to keep and train on."),
    "train": VerbEntry("runctl_cli.commands.aws_train:train", "Train on a machine that is kept."),
    "monitor": VerbEntry("runctl_cli.commands.aws_monitor:monitor", "Print what trains on a machine, and follow it."),
    "status": VerbEntry(f"{_MACHINE}:status", "Say how a machine stands."),
    "wait": VerbEntry(f"{_MACHINE}:wait", "Wait until a machine runs."),
    "wait-ssm": VerbEntry(f"{_MACHINE}:wait_ssm", "Wait until a machine can be trained on."),
    "start": VerbEntry(f"{_MACHINE}:start", "Start a stopped machine."),
    "stop": VerbEntry(f"{_MACHINE}:stop", "Stop a machine; its disk stays."),
    "terminate": VerbEntry(f"{_MACHINE}:terminate", "End a machine, and its disk with it."),
}

aws = LazyGroup(
    name="aws",
    verbs=VERBS,
    help="Machines that you keep: create, train, monitor, stop.",
    epilog="\b\nExamples:\n  runctl aws create t3.micro --wait\n"
    "  runctl aws train i-0abc1234def567890 train.py --wait -- --epochs 3\n  runctl aws stop i-0abc1234def567890",
    no_args_is_help=True,
)
