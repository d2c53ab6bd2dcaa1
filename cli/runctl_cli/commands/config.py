"""`runctl config show | set | validate`: verbs that are imported when they are called."""

from runctl_cli.root import LazyGroup, VerbEntry

VERBS = {
    "show": VerbEntry("runctl_cli.commands.config_show:show", "Print every setting, and where it comes from."),
    "set": VerbEntry("runctl_cli.commands.config_set:set_", "Change one setting in the configuration file."),
    "validate": VerbEntry("runctl_cli.commands.config_validate:validate", "Check the configuration file."),
}

config = LazyGroup(
    name="config",
    verbs=VERBS,
    help="The configuration: show, set, validate.",
    epilog="\b\nExamples:\n  runctl config show\n  runctl config set run.max_runtime 12h\n  runctl config validate",
    no_args_is_help=True,
)
