"""`runctl checkpoint …`: the group; its verbs are in checkpoint_list.py."""

from runctl_cli.root import LazyGroup, VerbEntry

checkpoint = LazyGroup(
    name="checkpoint",
    verbs={
        "list": VerbEntry(
            "runctl_cli.commands.checkpoint_list:list_checkpoints", "List a run's complete checkpoints, newest first."
        ),
    },
    help="What runs saved: list.",
    epilog="\b\nExamples:\n  runctl checkpoint list last",
    no_args_is_help=True,
)
