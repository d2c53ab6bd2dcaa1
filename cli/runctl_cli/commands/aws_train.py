"""`runctl aws train`."""

from datetime import timedelta

import click

from runctl_cli.invocation import Invocation
from runctl_cli.launching import answer_launched, sending
from runctl_cli.parameters import DURATION, VARIABLE
from runctl_cli.root import Verb
from runctl_cli.what_to_run import what_to_run

EXAMPLES = """\b
Examples:
  runctl aws train i-0abc1234def567890 train.py --sync-code --script-args "--epochs 3"
  runctl aws train i-0abc1234def567890 train.py --wait -- --epochs 1
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("instance_id", metavar="INSTANCE")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT] [-- ARGS]...")
@click.option("--module", "-m", metavar="MODULE", help="Run a module of the project, as python -m does.")
@click.option("--command", metavar="TEXT", help="Run a command, split as a shell would; no shell reads it.")
@click.option("--sync-code", is_flag=True, help="Send the project first, as is always done.")
@click.option("--wait", is_flag=True, help="Wait for the end, and return the training's result.")
@click.option("--name", metavar="NAME", help="Name of the run.  [default: one like brave-otter]")
@click.option("--max-runtime", type=DURATION, metavar="DURATION", help="Save and stop after this.  [default: 24h]")
@click.option(
    "--verify-checkpoints/--no-verify-checkpoints",
    default=None,
    help="Fail the run when its training ends without a checkpoint.  [default: warn]",
)
@click.option("--setup", metavar="COMMAND", help="Shell command that runs in the project before the training.")
@click.option(
    "--env", "variables", type=VARIABLE, multiple=True, metavar="KEY[=VALUE]", help="Environment variable; repeat."
)
@click.option(
    "--script-args", "--args", "script_args", metavar="TEXT", help="Arguments as one text, split as a shell would."
)
@click.pass_obj
def train(
    invocation: Invocation,
    instance_id: str,
    words: tuple[str, ...],
    module: str | None,
    command: str | None,
    sync_code: bool,  # noqa: ARG001 - the project is always sent: what the bucket has moves no data
    wait: bool,
    name: str | None,
    max_runtime: timedelta | None,
    verify_checkpoints: bool | None,
    setup: str | None,
    variables: tuple[tuple[str, str], ...],
    script_args: str | None,
) -> None:
    """Train on a machine that is kept.

    The machine is paid for already and stays when the training has ended; one run at a time has it. Everything else
    is as for runctl train: checkpoints and logs are kept, each run has its own.
    """
    from runctl.client.client import prepare
    from runctl_cli.commands.train import spec_of

    client, configuration = invocation.client, invocation.configuration
    what = what_to_run(words, module=module, command=command, script_args=script_args)
    machine = client.machines.check_trainable(instance_id)
    view = machine.view
    spec = spec_of(
        configuration,
        what,
        instance_types=(view.instance_type,),
        spot=view.purchase_option.value == "spot",
        name=name,
        max_runtime=max_runtime,
        verify_checkpoints=verify_checkpoints,
        setup=setup,
        variables=variables,
    )
    prepared = prepare(spec)
    for skipped in prepared.files.skipped:
        invocation.say(f"Note: {skipped}")
    on_upload, on_bytes = sending(invocation)
    run = client.launch(client.plan(prepared), machine=machine.instance_id, on_upload=on_upload, on_bytes=on_bytes)
    answer_launched(invocation, run, wait=wait)
