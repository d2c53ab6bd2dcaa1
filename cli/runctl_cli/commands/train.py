"""`runctl train`."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runctl.errors import InvalidSpec
from runctl_cli.first_look import look_first
from runctl_cli.invocation import Invocation
from runctl_cli.launching import answer_launched, confirm_cost, sending, what_and_where
from runctl_cli.machine_choice import chosen_types, machine_options
from runctl_cli.parameters import DATA, DURATION, EXIT_CODES, SECRET, USD, VARIABLE, sync_options
from runctl_cli.root import Verb
from runctl_cli.variables import read_env_file
from runctl_cli.what_to_run import WhatToRun, what_to_run

if TYPE_CHECKING:
    from runctl.client.spec import RunSpec
    from runctl.model.run import PurchaseOption
    from runctl_cli.settings import Configuration, RunSettings

EXAMPLES = """\b
Examples:
  runctl train train.py
  runctl train train.py --instance-type g5.xlarge --spot --wait
  runctl train train.py --max-runtime 6h --max-cost 10 -- --epochs 3
  runctl train train.py --script-args "--epochs 3"
  runctl train train.py --gpus 1xA10G --memory 32+ --spot
  runctl train -f run.yaml --spot
  runctl train --command "torchrun --nproc-per-node 8 train.py"
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT] [-- ARGS]...")
@click.option("--file", "-f", "file", type=click.Path(path_type=Path), metavar="FILE", help="Run as a YAML file says.")
@click.option("--module", "-m", metavar="MODULE", help="Run a module of the project, as python -m does.")
@click.option("--command", metavar="TEXT", help="Run a command, split as a shell would; no shell reads it.")
@machine_options
@click.option("--spot/--on-demand", default=None, help="How the machine is paid for.  [default: on-demand]")
@click.option(
    "--fallback/--no-fallback",
    default=None,
    help="With --spot: on demand after 10 min of refusals, or two interruptions in an hour.",
)
@click.option(
    "--disk", "disk_gib", type=click.IntRange(8, 16_384), metavar="GIB", help="Root volume, gp3.  [default: 100]"
)
@click.option(
    "--instance-profile", metavar="NAME", help="Machine's instance profile, allowed at deployment.  [default: its own]"
)
@click.option("--wait", is_flag=True, help="Wait for the end, and return the training's result.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, whatever the estimate.")
@click.option("--no-doctor", is_flag=True, help="Do not look at the account before the first launch.")
@click.option("--name", metavar="NAME", help="Name of the run.  [default: one like brave-otter]")
@click.option("--max-runtime", type=DURATION, metavar="DURATION", help="Save and stop after this.  [default: 24h]")
@click.option("--max-cost", type=USD, metavar="USD", help="Save and stop when this much is spent.")
@click.option(
    "--capacity-timeout", type=DURATION, metavar="DURATION", help="How long to look for a machine.  [default: 2h]"
)
@click.option("--retries", type=click.IntRange(0, 100), metavar="N", help="Try a failed training again.  [default: 0]")
@click.option(
    "--retry-exit-codes",
    type=EXIT_CODES,
    metavar="CODES",
    help="Only failures with these exit codes: 3,17.  [default: all]",
)
@click.option(
    "--verify-checkpoints/--no-verify-checkpoints",
    default=None,
    help="Fail the run when its training ends without a checkpoint.  [default: warn]",
)
@click.option(
    "--on-notice",
    type=click.Choice(["save", "stop"]),
    help="When EC2 takes the machine back: save and train on, or stop at once.  [default: save]",
)
@click.option(
    "--notify",
    type=click.Choice(["none", "end", "all"]),
    help="What people are told of this run: nothing, its end, or warnings too.  [default: all]",
)
@click.option("--setup", metavar="COMMAND", help="Shell command that runs in the project before the training.")
@click.option("--image", metavar="IMAGE", help="Container image that the training runs in, with its own packages.")
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
    "--data",
    type=DATA,
    multiple=True,
    metavar="URL[:PATH]",
    help="s3://BUCKET/PREFIX on the machine, at PATH or below RUNCTL_DATA_DIR; repeat for more.",
)
@click.option("--data-mode", type=click.Choice(["download", "mount"]), help="How data gets there.  [default: download]")
@click.option("--output-dir", metavar="FOLDER", help="Folder of the project whose content is kept with the run.")
@sync_options
@click.option(
    "--script-args", "--args", "script_args", metavar="TEXT", help="Arguments as one text, split as a shell would."
)
@click.pass_obj
def train(
    invocation: Invocation,
    words: tuple[str, ...],
    file: Path | None,
    module: str | None,
    command: str | None,
    script_args: str | None,
    wait: bool,
    yes: bool,
    no_doctor: bool,
    **asked: Any,
) -> None:
    """Train SCRIPT on a machine of its own.

    SCRIPT is a Python or shell script of the project, or a program in it; -m MODULE or --command TEXT stand in its
    place. The project is sent to the machine; what the script writes to RUNCTL_CHECKPOINT_DIR is kept, and resumed
    from after an interruption. Arguments after two dashes are the script's.
    """
    from runctl.client.client import prepare

    configuration = invocation.configuration
    if file is None:
        what = what_to_run(words, module=module, command=command, script_args=script_args)
    else:
        from runctl_cli.spec_file import read_spec_file

        asked_by_file = read_spec_file(file)
        configuration = asked_by_file.over(configuration)
        what = asked_by_file.what_to_run(words, module=module, command=command, script_args=script_args)
        asked["name"] = asked["name"] or asked_by_file.name
    run = configuration.settings.run
    needs = {name: asked.pop(name) for name in ("gpus", "cpus", "memory")}
    asked["instance_types"] = chosen_types(
        invocation, run, purchase_of(run, asked["spot"]), instance_types=asked["instance_types"], **needs
    )
    spec = spec_of(configuration, what, **asked)
    prepared = prepare(spec)
    for skipped in prepared.files.skipped:
        invocation.say(f"Note: {skipped}")
    client = invocation.client
    place = client.place
    invocation.say(f"Target {configuration.settings.target.value}, account {place.account}, region {place.region}.")
    if not no_doctor:
        look_first(invocation, place, spec)
    plan = client.plan(prepared)
    confirm_cost(invocation, what_and_where(plan.prepared.spec), plan.estimate, yes=yes)
    on_upload, on_bytes = sending(invocation)
    run = client.launch(plan, on_upload=on_upload, on_bytes=on_bytes)
    answer_launched(invocation, run, wait=wait)


def purchase_of(run: "RunSettings", spot: bool | None) -> "PurchaseOption":
    """How machines are paid for: as it was typed, else as the configuration says."""
    from runctl.model.run import PurchaseOption

    if spot is None:
        return run.purchase
    return PurchaseOption.SPOT if spot else PurchaseOption.ON_DEMAND


def spec_of(
    configuration: "Configuration",
    what: WhatToRun,
    *,
    instance_types: tuple[str, ...] = (),
    spot: bool | None = None,
    fallback: bool | None = None,
    disk_gib: int | None = None,
    instance_profile: str | None = None,
    name: str | None = None,
    max_runtime: timedelta | None = None,
    max_cost: Decimal | None = None,
    capacity_timeout: timedelta | None = None,
    retries: int | None = None,
    retry_exit_codes: tuple[int, ...] | None = None,
    verify_checkpoints: bool | None = None,
    on_notice: str | None = None,
    notify: str | None = None,
    setup: str | None = None,
    image: str | None = None,
    variables: tuple[tuple[str, str], ...] = (),
    env_files: tuple[Path, ...] = (),
    secrets: tuple[tuple[str, str], ...] = (),
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    data: tuple[dict[str, str], ...] = (),
    data_mode: str | None = None,
    output_dir: str | None = None,
) -> "RunSpec":
    """Lay what was typed over what the configuration says."""
    from pydantic import ValidationError

    from runctl.client.project import is_empty_project, script_in_project
    from runctl.client.spec import RunSpec
    from runctl.model.notice import NotifyLevel
    from runctl.model.run import DataMode, DataSource, OnNotice
    from runctl_cli.values import parse_data

    settings = configuration.settings
    run = settings.run
    root = configuration.folder
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
            purchase_option=purchase_of(run, spot),
            fallback=run.fallback if fallback is None else fallback,
            disk_gib=run.disk_gib if disk_gib is None else disk_gib,
            instance_profile=run.instance_profile if instance_profile is None else instance_profile,
            environment={**run.env, **_from_files(env_files), **dict(variables)},
            secrets={**run.secrets, **dict(secrets)},
            setup=run.setup if setup is None else setup,
            image=run.image if image is None else image,
            data=tuple(DataSource.model_validate(each) for each in data or map(parse_data, run.data)),
            data_mode=run.data_mode if data_mode is None else DataMode(data_mode),
            output_dir=run.output_dir if output_dir is None else output_dir,
            max_runtime_s=_seconds(max_runtime or run.max_runtime),
            max_cost_usd=run.max_cost if max_cost is None else max_cost,
            capacity_timeout_s=_seconds(run.capacity_timeout if capacity_timeout is None else capacity_timeout),
            ready_timeout_s=_seconds(run.ready_timeout),
            heartbeat_timeout_s=_seconds(run.heartbeat_timeout),
            heartbeat_interval_s=_seconds(run.heartbeat_interval),
            save_limit_s=_seconds(run.save_limit),
            retries=run.retries if retries is None else retries,
            notify=run.notify if notify is None else NotifyLevel(notify),
            retry_exit_codes=run.retry_exit_codes if retry_exit_codes is None else retry_exit_codes,
            keep_checkpoints=run.keep_checkpoints,
            verify_checkpoints=run.verify_checkpoints if verify_checkpoints is None else verify_checkpoints,
            on_notice=run.on_notice if on_notice is None else OnNotice(on_notice),
            project_dir=root,
            project=settings.project.name,
            name=name,
            include=(*settings.sync.include, *include),
            exclude=(*configuration.left_out, *exclude),
            max_project_bytes=settings.sync.max_mb * 1_000_000,
        )
    except ValidationError as error:
        raise _refused(error) from error


def _from_files(files: tuple[Path, ...]) -> dict[str, str]:
    return {name: value for file in files for name, value in read_env_file(file).items()}


def _seconds(duration: timedelta) -> int:
    return round(duration.total_seconds())


def _refused(error: Any) -> InvalidSpec:
    first = error.errors(include_url=False)[0]
    what = first["msg"].removeprefix("Value error, ")
    field = ".".join(str(part) for part in first["loc"])
    named = f"{field}: " if field else ""
    return InvalidSpec(
        f"The run cannot be made: {named}{what[:1].lower()}{what[1:]}.",
        hint="See: runctl train --help, and [run] of .runctl.toml",
    )
