"""`runctl resources …`: the group; its verbs are in resources_shown.py."""

from runctl_cli.root import LazyGroup, VerbEntry

resources = LazyGroup(
    name="resources",
    verbs={
        "list": VerbEntry("runctl_cli.commands.resources_shown:list_resources", "List the machines that are paid for."),
        "summary": VerbEntry(
            "runctl_cli.commands.resources_shown:summary",
            "Count the machines that are paid for, and say what they cost together.",
        ),
        "cost": VerbEntry("runctl_cli.commands.resources_shown:cost", "Say what each machine has cost so far."),
    },
    help="Machines that are paid for: list, summary, cost.",
    epilog="\b\nExamples:\n  runctl resources list\n  runctl resources summary --output json",
    no_args_is_help=True,
)
