"""`runctl aws create`."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from runctl.errors import RunctlError
from runctl.model import timing
from runctl.model.run import PurchaseOption
from runctl.model.timeline import TimelineKind
from runctl_cli.invocation import Invocation
from runctl_cli.launching import confirm_cost, sending
from runctl_cli.parameters import DURATION
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.model.run import Run

_REFUSED = (4, 5)
"""Exit codes of what AWS, the limit of machines or a budget refused (docs/errors.md)."""

EXAMPLES = """\b
Examples:
  runctl aws create t3.micro --wait
  runctl aws create g5.xlarge --spot --keep-for 8h --wait
  runctl aws create t3.micro --iam-instance-profile runctl-ssm-profile --wait
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("instance_types", nargs=-1, required=True, metavar="TYPE...")
@click.option("--spot/--on-demand", default=False, help="How the machine is paid for.  [default: on-demand]")
@click.option("--keep-for", type=DURATION, metavar="DURATION", help="End it after this.  [default: 24h]")
@click.option("--disk", "disk_gib", type=click.IntRange(8, 16_384), metavar="GIB", help="Root volume.  [default: 100]")
@click.option("--name", default="machine", metavar="NAME", help="Name of the run that creates it.")
@click.option("--iam-instance-profile", metavar="NAME", help="Instance profile.  [default: the stack's own]")
@click.option("--wait", is_flag=True, help="Wait until SSM answers for it, so that it can be trained on.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, whatever the estimate.")
@click.pass_obj
def create(
    invocation: Invocation,
    instance_types: tuple[str, ...],
    spot: bool,
    keep_for: timedelta | None,
    disk_gib: int | None,
    name: str,
    iam_instance_profile: str | None,
    wait: bool,
    yes: bool,
) -> None:
    """Create a machine to keep and train on.

    It is stopped when nothing has trained on it for an hour (a spot machine is ended), and ended after --keep-for.
    With several types the first that AWS has is taken.
    """
    from runctl.client.machines import creation

    client, configuration = invocation.client, invocation.configuration
    kept = keep_for or timing.KEPT_FOR
    limits = configuration.settings.machines
    with _telling_what_is_there(invocation, instance_types):
        count = client.machines.check_room(limits.most)
        if count >= limits.warn_above:
            invocation.say(f"Note: there are {count} machines already (runctl resources list).")
        place = client.place
        invocation.say(f"Target {configuration.settings.target.value}, account {place.account}, region {place.region}.")
        option = PurchaseOption.SPOT if spot else PurchaseOption.ON_DEMAND
        project = configuration.settings.project.name or configuration.folder.name
        with creation(
            instance_types,
            option,
            keep_for=kept,
            disk_gib=disk_gib,
            name=name,
            project=project,
            instance_profile=iam_instance_profile,
        ) as prepared:
            cost = client.estimate(instance_types, option, runtime=kept, disk_gib=disk_gib)
            # What the machine may cost counts, not the minutes until it is ready.
            plan = replace(client.plan(prepared), estimate=cost)
            confirm_cost(invocation, f"A machine to keep, {' or '.join(instance_types)}", cost, yes=yes)
            _, on_bytes = sending(invocation)
            run = client.launch(plan, on_bytes=on_bytes)
        if wait:
            _wait(invocation, run)
            return

        def text() -> None:
            click.echo(run.run_id)
            invocation.say_next((f"runctl wait {run.run_id}", "wait until it is ready, and say which it is"))

        invocation.answer({"run_id": run.run_id, "instance_id": None}, text)


@contextmanager
def _telling_what_is_there(invocation: Invocation, instance_types: tuple[str, ...]) -> Generator[None]:
    """When AWS, or a limit, refuses one more machine: say which are there, what they cost, how to go on or back."""
    try:
        yield
    except RunctlError as error:
        if error.exit_code in _REFUSED:
            with suppress(RunctlError):
                _tell_what_is_there(invocation, instance_types)
        raise


def _tell_what_is_there(invocation: Invocation, instance_types: tuple[str, ...]) -> None:
    from runctl_cli.machine_text import total_text

    found = invocation.client.resources()
    if not found:
        invocation.say("No machine is there, and none costs anything.")
        return
    invocation.say(f"What is there stays: {total_text(found)}")
    invocation.say_next(
        ("runctl resources cost", "which they are, and what each has cost"),
        (f"runctl aws create {' '.join(instance_types)} --wait", "try for another one again"),
        ("runctl aws terminate INSTANCE", "end one of them"),
        ("runctl resources stop-all", "end all your runs and stop the machines that you keep"),
    )


def _wait(invocation: Invocation, run: "Run") -> None:
    """Wait until the machine is there and can train; say nothing of success before that was seen."""
    from runctl_cli.machine_text import machine_document
    from runctl_cli.waiting import answer_detached, error_of_end

    client = invocation.client
    told = False

    waits: set[str] = set()

    def tell(current: "Run") -> None:
        nonlocal told
        for event in client.events(current.run_id):
            if event.kind is TimelineKind.WAITING_FOR_CAPACITY and event.event_id not in waits:
                waits.add(event.event_id)
                invocation.say(event.text)
        attempt = next((each for each in client.attempts(current.run_id) if each.instance_id is not None), None)
        if attempt is not None and attempt.purchase_option is not None and not told:
            told = True
            invocation.say(f"Created {attempt.purchase_option.value} instance: {attempt.instance_id}")

    invocation.say("Waiting until SSM answers for it; that takes one to three minutes. Ctrl-C lets go.")
    try:
        ended = client.wait(run.run_id, tell)
    except KeyboardInterrupt:
        answer_detached(invocation, run, {"run_id": run.run_id, "instance_id": None}, again=f"runctl wait {run.run_id}")
        return
    error = error_of_end(ended)
    if error is not None:
        error.hint = f"See what was tried with: runctl events {run.run_id}"
        raise error
    instance_id = client.attempts(run.run_id)[-1].instance_id
    machine = client.machines.find(str(instance_id))

    def text() -> None:
        click.echo(machine.instance_id)
        invocation.say("Instance ready and SSM connected")
        # EC2 stops no spot machine of this kind: to name the command would be a trap.
        stop = (f"runctl aws stop {machine.instance_id}", "stop it, and keep its disk")
        invocation.say_next(
            (f"runctl aws train {machine.instance_id} SCRIPT --wait", "train on it"),
            *(() if machine.view.purchase_option is PurchaseOption.SPOT else (stop,)),
            (f"runctl aws terminate {machine.instance_id}", "end it"),
        )

    invocation.answer({"run_id": run.run_id, **machine_document(machine, online=True)}, text)
