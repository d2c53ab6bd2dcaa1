"""`runctl budget …`: the group; its verbs are in budget_set.py and budget_shown.py."""

from runctl_cli.root import LazyGroup, VerbEntry

budget = LazyGroup(
    name="budget",
    verbs={
        "set": VerbEntry("runctl_cli.commands.budget_set:set_budget", "Set how much may be spent."),
        "show": VerbEntry("runctl_cli.commands.budget_shown:show", "Say what is spent, reserved and left."),
        "list": VerbEntry("runctl_cli.commands.budget_shown:list_budgets", "List the budgets that are set."),
        "delete": VerbEntry("runctl_cli.commands.budget_set:delete", "Take a budget away."),
    },
    help="How much may be spent: set, show, list, delete.",
    epilog="\b\nExamples:\n  runctl budget set project --period month --usd 200\n  runctl budget list",
    no_args_is_help=True,
)
