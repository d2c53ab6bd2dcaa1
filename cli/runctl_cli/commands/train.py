"""`runctl train`."""

import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runctl.errors import InvalidSpec
from runctl_cli.byte_progress import ByteProgress
from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.parameters import DURATION, SECRET, USD, VARIABLE
from runctl_cli.root import Verb
from runctl_cli.variables import read_env_file
from runctl_cli.what_to_run import WhatToRun, what_to_run

if TYPE_CHECKING:
    from runctl.client.client import Plan
    from runctl.client.spec import RunSpec
    from runctl.model.run import CodeRef, Run
    from runctl_cli.settings import Configuration

EXAMPLES = """\b
Examples:
  runctl train train.py
  runctl train train.py --instance-type g5.xlarge --spot --wait
  runctl train train.py --max-runtime 6h --max-cost 10 -- --epochs 3
  runctl train train.py --script-args "--epochs 3"
  runctl train --command "torchrun --nproc-per-node 8 train.py"
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT] [-- ARGS]...")
@click.option("--module", "-m", metavar="MODULE", help="Run a module of the project, as python -m does.")
@click.option("--command", metavar="TEXT", help="Run a command, split as a shell would; no shell reads it.")
@click.option(
    "--instance-type", "instance_types", multiple=True, metavar="TYPE", help="EC2 instance type; repeat for a choice."
)
@click.option("--spot/--on-demand", default=None, help="How the machine is paid for.  [default: on-demand]")
@click.option(
    "--disk", "disk_gib", type=click.IntRange(8, 16_384), metavar="GIB", help="Root volume, gp3.  [default: 100]"
)
@click.option("--wait", is_flag=True, help="Wait for the end, and return the training's result.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, whatever the estimate.")
@click.option("--name", metavar="NAME", help="Name of the run.  [default: the script's]")
@click.option("--max-runtime", type=DURATION, metavar="DURATION", help="Save and stop after this.  [default: 24h]")
@click.option("--max-cost", type=USD, metavar="USD", help="Save and stop when this much is spent.")
@click.option(
    "--capacity-timeout", type=DURATION, metavar="DURATION", help="How long to look for a machine.  [default: 2h]"
)
@click.option("--retries", type=click.IntRange(0, 100), metavar="N", help="Try a failed training again.  [default: 0]")
@click.option("--setup", metavar="COMMAND", help="Shell command that runs in the project before the training.")
@click.option(
    "--env",
    "variables",
    type=VARIABLE,
    multiple=True,
    metavar="KEY[=VALUE]",
    help="Environment variable, KEY alone from this shell; repeat for more.",
)
@click.option(
    "--env-file",
    "env_files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="File of KEY=VALUE lines; repeat for more.",
)
@click.option(
    "--secret",
    "secrets",
    type=SECRET,
    multiple=True,
    metavar="NAME=PLACE",
    help="Environment variable read from ssm:/PATH or secretsmanager:NAME; repeat for more.",
)
@click.option(
    "--script-args", "--args", "script_args", metavar="TEXT", help="Arguments as one text, split as a shell would."
)
@click.pass_obj
def train(
    invocation: Invocation,
    words: tuple[str, ...],
    module: str | None,
    command: str | None,
    script_args: str | None,
    wait: bool,
    yes: bool,
    **asked: Any,
) -> None:
    """Train SCRIPT on a machine of its own.

    SCRIPT is a Python or shell script of the project, or a program in it; -m MODULE or --command TEXT stand in its
    place. The project is sent to the machine; what the script writes to RUNCTL_CHECKPOINT_DIR is kept, and resumed
    from after an interruption. Arguments after two dashes are the script's.
    """
    from runctl.client.client import prepare

    configuration = invocation.configuration
    what = what_to_run(words, module=module, command=command, script_args=script_args)
    spec = _spec(configuration, what, **asked)
    prepared = prepare(spec)
    for skipped in prepared.files.skipped:
        invocation.say(f"Note: {skipped}")
    client = invocation.client
    place = client.place
    invocation.say(f"Target {configuration.settings.target.value}, account {place.account}, region {place.region}.")
    plan = client.plan(prepared)
    _confirm(invocation, plan, yes=yes)
    progress = ByteProgress("Sending the project", sys.stderr)

    def told(code: "CodeRef", sent: bool) -> None:
        progress.end()
        _say_upload(invocation, plan, code, sent)

    run = client.launch(plan, on_upload=told, on_bytes=progress.add)
    if wait:
        from runctl_cli.waiting import wait_and_answer

        wait_and_answer(invocation, run)
        return
    _answer_submitted(invocation, run)


def _spec(
    configuration: "Configuration",
    what: WhatToRun,
    *,
    instance_types: tuple[str, ...],
    spot: bool | None,
    disk_gib: int | None,
    name: str | None,
    max_runtime: timedelta | None,
    max_cost: Decimal | None,
    capacity_timeout: timedelta | None,
    retries: int | None,
    setup: str | None,
    variables: tuple[tuple[str, str], ...],
    env_files: tuple[Path, ...],
    secrets: tuple[tuple[str, str], ...],
) -> "RunSpec":
    """Lay what was typed over what the configuration says."""
    from pydantic import ValidationError

    from runctl.client.project import is_empty_project, script_in_project
    from runctl.client.spec import RunSpec
    from runctl.model.run import PurchaseOption

    settings = configuration.settings
    run = settings.run
    root = configuration.folder
    purchase = run.purchase if spot is None else PurchaseOption.SPOT if spot else PurchaseOption.ON_DEMAND
    script = Path(what.script).as_posix() if what.script else ""
    if script and not is_empty_project(root):
        script = script_in_project(Path(script), root)
    try:
        return RunSpec(
            script=script,
            module=what.module,
            command=what.command,
            args=what.args,
            instance_types=instance_types or run.instance_type,
            purchase_option=purchase,
            disk_gib=run.disk_gib if disk_gib is None else disk_gib,
            environment={**run.env, **_from_files(env_files), **dict(variables)},
            secrets={**run.secrets, **dict(secrets)},
            setup=run.setup if setup is None else setup,
            max_runtime_s=_seconds(max_runtime or run.max_runtime),
            max_cost_usd=run.max_cost if max_cost is None else max_cost,
            capacity_timeout_s=_seconds(run.capacity_timeout if capacity_timeout is None else capacity_timeout),
            ready_timeout_s=_seconds(run.ready_timeout),
            heartbeat_timeout_s=_seconds(run.heartbeat_timeout),
            heartbeat_interval_s=_seconds(run.heartbeat_interval),
            save_limit_s=_seconds(run.save_limit),
            retries=run.retries if retries is None else retries,
            keep_checkpoints=run.keep_checkpoints,
            verify_checkpoints=run.verify_checkpoints,
            project_dir=root,
            project=settings.project.name,
            name=name,
            exclude=(*settings.project.exclude, *_local_state(configuration)),
            max_project_bytes=settings.project.max_mb * 1_000_000,
        )
    except ValidationError as error:
        raise _refused(error) from error


def _from_files(files: tuple[Path, ...]) -> dict[str, str]:
    return {name: value for file in files for name, value in read_env_file(file).items()}


def _seconds(duration: timedelta) -> int:
    return round(duration.total_seconds())


def _local_state(configuration: "Configuration") -> tuple[str, ...]:
    """The local cloud's state is no part of the project, wherever in it the configuration puts it."""
    state, folder = configuration.local_dir.absolute(), configuration.folder.absolute()
    return (f"/{state.relative_to(folder).as_posix()}/",) if state.is_relative_to(folder) and state != folder else ()


def _refused(error: Any) -> InvalidSpec:
    first = error.errors(include_url=False)[0]
    what = first["msg"].removeprefix("Value error, ")
    field = ".".join(str(part) for part in first["loc"])
    named = f"{field}: " if field else ""
    return InvalidSpec(
        f"The run cannot be made: {named}{what[:1].lower()}{what[1:]}.",
        hint="See: runctl train --help, and [run] of .runctl.toml",
    )


def _confirm(invocation: Invocation, plan: "Plan", *, yes: bool) -> None:
    """Say what the run may cost; ask above `[confirm] above_usd`, or when no price is known."""
    from runctl_cli.values import duration_text, usd_text

    estimate = plan.estimate
    total, hourly = estimate.total_usd, estimate.usd_per_hour
    types = " or ".join(plan.prepared.spec.instance_types)
    price = "at a price that is not known" if hourly is None else f"at most {usd_text(hourly)} an hour"
    sum_text = "" if total is None else f", {usd_text(total)} in all"
    invocation.say(
        f"{plan.prepared.spec.label} on {types}, {estimate.purchase_option.value}: {price}, "
        f"for at most {duration_text(estimate.runtime)}{sum_text}."
    )
    limit = invocation.configuration.settings.confirm.above_usd
    if yes or (total is not None and total <= limit):
        return
    why = "its price is not known" if total is None else f"it may cost {usd_text(total)}, more than {usd_text(limit)}"
    if not sys.stdin.isatty():
        raise Declined(
            f"Nothing was launched: {why}, and there is no terminal to ask.",
            hint="Launch it anyway with --yes, or lower --max-runtime or --max-cost.",
        )
    if not click.confirm(f"Launch it although {why}?", err=True):
        raise Declined("Nothing was launched.", hint="Lower --max-runtime or --max-cost, or choose another type.")


def _say_upload(invocation: Invocation, plan: "Plan", code: "CodeRef", sent: bool) -> None:
    from runctl_cli.values import bytes_text

    count = len(plan.prepared.files.files)
    files = "1 file" if count == 1 else f"{count} files"
    invocation.say(f"Sent the project: {files}, {bytes_text(code.bytes)}." if sent else f"Project unchanged: {files}.")


def _answer_submitted(invocation: Invocation, run: "Run") -> None:
    def text() -> None:
        click.echo(run.run_id)
        invocation.say_next(
            (f"runctl status {run.run_id}", "how it stands"),
            (f"runctl logs {run.run_id} -f", "follow what it prints"),
            (f"runctl cancel {run.run_id}", "let it save, then end it"),
        )

    invocation.answer(invocation.client.document(run), text)
