"""The root command: global options, and verbs that are imported only when they are called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from runctl import __version__
from runctl_cli.invocation import Invocation
from runctl_cli.output import OutputFormat


@dataclass(frozen=True)
class VerbEntry:
    """Where a verb lives, and the line that stands for it in the list (a test compares it with the verb's own help)."""

    location: str
    summary: str


def _set_output(invocation: Invocation, value: str) -> None:
    invocation.output = OutputFormat(value)


def _set_config(invocation: Invocation, value: str) -> None:
    invocation.config_path = Path(value)


def _set_target(invocation: Invocation, value: str) -> None:
    invocation.target = value


def _set_verbose(invocation: Invocation, value: bool) -> None:
    invocation.verbose = invocation.verbose or value


def _set_quiet(invocation: Invocation, value: bool) -> None:
    invocation.quiet = invocation.quiet or value


def _set_debug(invocation: Invocation, value: bool) -> None:
    invocation.debug = invocation.debug or value


def _global(setter: Callable[[Invocation, Any], None]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Make the callback of a global option: sets it when it was given, wherever it was given."""

    def apply(context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        if value is not None:
            setter(context.find_object(Invocation) or context.obj, value)
        return value

    return apply


def global_options() -> list[click.Parameter]:
    """Make the options that every command takes, before the verb or after it."""
    return [
        click.Option(
            ["--output"],
            type=click.Choice([member.value for member in OutputFormat]),
            help="Form of the answer on stdout.  [default: text]",
            expose_value=False,
            callback=_global(_set_output),
        ),
        click.Option(
            ["--config"],
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Configuration file.  [default: the nearest .runctl.toml]",
            expose_value=False,
            callback=_global(_set_config),
        ),
        click.Option(
            ["--target"],
            type=click.Choice(["aws", "local"]),
            help="An AWS account, or the cloud on this machine.  [default: RUNCTL_TARGET, then the configuration]",
            expose_value=False,
            callback=_global(_set_target),
        ),
        click.Option(
            ["--verbose", "-v"],
            is_flag=True,
            default=None,
            help="Say more on stderr.",
            expose_value=False,
            callback=_global(_set_verbose),
        ),
        click.Option(
            ["--quiet", "-q"],
            is_flag=True,
            default=None,
            help="Say nothing on stderr but errors and questions.",
            expose_value=False,
            callback=_global(_set_quiet),
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            default=None,
            help="Show where errors come from.",
            expose_value=False,
            callback=_global(_set_debug),
        ),
    ]


class Verb(click.Command):
    """A command that also takes the global options after its name: `runctl ps --output json`.

    They stay the root's: they are not listed among the command's own, and mean the same in both places.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Add hidden copies of the global options to the command's own parameters."""
        copies = global_options()
        for copy in copies:
            cast("click.Option", copy).hidden = True
        return [*super().get_params(ctx), *copies]

    def invoke(self, ctx: click.Context) -> Any:
        """Note the command's name for the answer, then run it."""
        invocation = ctx.find_object(Invocation)
        if invocation is not None:
            invocation.command = _verb_path(ctx)
        return super().invoke(ctx)


def _verb_path(ctx: click.Context) -> str:
    """The command without the program's name: `local up`."""
    return ctx.command_path.partition(" ")[2]


class LazyGroup(click.Group):
    """A group whose verbs are named here and imported when they are called; its help imports none of them."""

    command_class = Verb

    def __init__(self, *args: Any, verbs: Mapping[str, VerbEntry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the verbs in the order of a user's day, not of the alphabet."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the verb."""
        entry = self.verbs.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.location.partition(":")
        return cast("click.Command", getattr(import_module(module), attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown verb by naming the near ones."""
        if ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        name = args[0]
        if name not in self.verbs and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=self.verbs, ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the verbs from their entries, without importing them, and the group's own options."""
        verbs = [
            CompletionItem(name, help=entry.summary)
            for name, entry in self.verbs.items()
            if name.startswith(incomplete)
        ]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs with their lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.verbs.items()])


VERBS: Mapping[str, VerbEntry] = {
    "init": VerbEntry("runctl_cli.commands.init:init", "Write .runctl.toml with every setting and its default."),
    "config": VerbEntry("runctl_cli.commands.config:config", "The configuration: show, set, validate."),
    "local": VerbEntry("runctl_cli.commands.local:local", "The cloud on this machine: up, down, faults."),
    "deploy": VerbEntry("runctl_cli.commands.deploy:deploy", "Create or update the stack in an AWS account."),
    "doctor": VerbEntry(
        "runctl_cli.commands.doctor:doctor", "Check what runs need of the account, and say how to mend it."
    ),
    "sync": VerbEntry("runctl_cli.commands.sync:sync", "Send the project to the bucket, and launch nothing."),
    "train": VerbEntry("runctl_cli.commands.train:train", "Train SCRIPT on a machine of its own."),
    "estimate": VerbEntry("runctl_cli.commands.estimate:estimate", "Say what a run may cost, and launch nothing."),
    "aws": VerbEntry("runctl_cli.commands.aws:aws", "Machines that you keep: create, train, monitor, stop."),
    "workflow": VerbEntry(
        "runctl_cli.commands.workflow:workflow", "A training from beginning to end: train, resume, cleanup."
    ),
    "ps": VerbEntry("runctl_cli.commands.ps:ps", "List runs."),
    "status": VerbEntry("runctl_cli.commands.status:status", "Say how a run stands, why, and what comes next."),
    "logs": VerbEntry("runctl_cli.commands.logs:logs", "Print what the training printed."),
    "watch": VerbEntry(
        "runctl_cli.commands.watch:watch", "Watch a run on a live screen, and return the training's result."
    ),
    "shell": VerbEntry("runctl_cli.commands.shell:shell", "Open a shell on the machine of a run."),
    "wait": VerbEntry("runctl_cli.commands.wait:wait", "Wait for a run's end, and return the training's result."),
    "events": VerbEntry("runctl_cli.commands.events:events", "Print what happened to a run, in order."),
    "resume": VerbEntry("runctl_cli.commands.resume:resume", "Start a new run that goes on from an ended one."),
    "download": VerbEntry("runctl_cli.commands.download:download", "Fetch a run's newest checkpoint and its outputs."),
    "report": VerbEntry("runctl_cli.commands.report:report", "Write a page about a run, or one that compares several."),
    "checkpoint": VerbEntry("runctl_cli.commands.checkpoint:checkpoint", "What runs saved: list, delete."),
    "cost": VerbEntry("runctl_cli.commands.cost:cost", "Say what runs cost."),
    "resources": VerbEntry(
        "runctl_cli.commands.resources:resources", "Machines that are paid for: list, summary, cost, cleanup, stop-all."
    ),
    "budget": VerbEntry("runctl_cli.commands.budget:budget", "How much may be spent: set, show, list, delete."),
    "notify": VerbEntry("runctl_cli.commands.notify:notify", "Who hears of runs: add, list, remove."),
    "extend": VerbEntry("runctl_cli.commands.extend:extend", "Let a live run use more time or money."),
    "cancel": VerbEntry("runctl_cli.commands.cancel:cancel", "Let a run save, then end it."),
    "admin": VerbEntry("runctl_cli.commands.admin:admin", "For whoever looks after the stack: redrive."),
    "completion": VerbEntry(
        "runctl_cli.commands.completion:completion", "Print what lets a shell complete commands, flags and runs."
    ),
    "destroy": VerbEntry("runctl_cli.commands.destroy:destroy", "Delete the stack; what was trained is kept."),
}

root = LazyGroup(
    name="runctl",
    verbs=VERBS,
    params=[*global_options()],
    help="Train models on EC2 with no server of your own: runs resume after spot interruptions, and machines end.",
    epilog="\b\nStart here:\n  runctl init && runctl local up\n  runctl train training/train_digits.py --spot --wait",
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    no_args_is_help=True,
)
click.version_option(__version__, "--version", prog_name="runctl", message="%(prog)s %(version)s")(root)
