"""`runctl checkpoint …`: the group. Verbs are imported when they are called."""

from runctl_cli.root import LazyGroup, VerbEntry

checkpoint = LazyGroup(
    name="checkpoint",
    verbs={
        "list": VerbEntry(
            "runctl_cli.commands.checkpoint_list:list_checkpoints", "List a run's complete checkpoints, newest first."
        ),
        "delete": VerbEntry("runctl_cli.commands.checkpoint_delete:delete", "Delete checkpoints of an ended run."),
    },
    help="What runs saved: list, delete.",
    epilog="\b\nExamples:\n  runctl checkpoint list last\n  runctl checkpoint delete last --keep 1",
    no_args_is_help=True,
)
