"""`runctl admin …`: the group."""

from runctl_cli.root import LazyGroup, VerbEntry

admin = LazyGroup(
    name="admin",
    verbs={
        "redrive": VerbEntry(
            "runctl_cli.commands.admin_redrive:redrive", "Send again what could not be delivered to the controller."
        ),
    },
    help="For whoever looks after the stack: redrive.",
    epilog="\b\nExamples:\n  runctl admin redrive --dry-run",
    no_args_is_help=True,
)
