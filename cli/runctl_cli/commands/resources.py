"""`runctl resources …`: the group; verbs are imported when they are called."""

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
        "cleanup": VerbEntry(
            "runctl_cli.commands.resources_cleanup:cleanup",
            "End machines that no run owns, and runs that nothing ends.",
        ),
        "stop-all": VerbEntry(
            "runctl_cli.commands.resources_stop_all:stop_all",
            "Let all runs save and end, and stop machines that are kept.",
        ),
    },
    help="Machines that are paid for: list, summary, cost, cleanup, stop-all.",
    epilog="\b\nExamples:\n  runctl resources list\n  runctl resources summary --output json\n"
    "  runctl resources cleanup",
    no_args_is_help=True,
)
