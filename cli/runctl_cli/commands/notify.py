"""`runctl notify …`: the group; its verbs are in notify_whom.py."""

from runctl_cli.root import LazyGroup, VerbEntry

notify = LazyGroup(
    name="notify",
    verbs={
        "add": VerbEntry("runctl_cli.commands.notify_whom:add", "Let an address or an endpoint hear of runs."),
        "list": VerbEntry("runctl_cli.commands.notify_whom:list_subscriptions", "List who hears of runs."),
        "remove": VerbEntry("runctl_cli.commands.notify_whom:remove", "Let an address or an endpoint hear no more."),
    },
    help="Who hears of runs: add, list, remove.",
    epilog="\b\nExamples:\n  runctl notify add email me@example.org\n  runctl notify list",
    no_args_is_help=True,
)
