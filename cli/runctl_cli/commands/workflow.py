"""`runctl workflow …`: other names of commands; what they do is in the commands' own files."""

from runctl_cli.root import LazyGroup, VerbEntry

_VERBS = "runctl_cli.commands.workflow_verbs"

workflow = LazyGroup(
    name="workflow",
    verbs={
        "train": VerbEntry(f"{_VERBS}:train", "Train SCRIPT from the estimate to the machine's end, and wait for it."),
        "resume": VerbEntry(f"{_VERBS}:resume", "Start a new run that goes on from an ended one."),
        "cleanup": VerbEntry(f"{_VERBS}:cleanup", "End machines that no run owns, and runs that nothing ends."),
    },
    help="A training from beginning to end: train, resume, cleanup.",
    epilog="\b\nExamples:\n  runctl workflow train train.py --spot -- --epochs 3\n  runctl workflow resume last\n"
    "  runctl workflow cleanup",
    no_args_is_help=True,
)
