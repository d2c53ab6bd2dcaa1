"""`runctl aws status | wait | wait-ssm | start | stop | terminate`."""

import sys
from typing import TYPE_CHECKING

import click

from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.machine_text import machine_document, machine_lines
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.client.machines import Machine, Machines

INSTANCE = click.argument("instance_id", metavar="INSTANCE")


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl aws status i-0abc1234def567890")
@INSTANCE
@click.pass_obj
def status(invocation: Invocation, instance_id: str) -> None:
    """Say how a machine stands.

    Its state, whether SSM answers, whose it is, until when it is kept, what it costs, and what trains on it.
    """
    machines = invocation.client.machines
    machine = machines.find(instance_id)
    online = not machine.view.state.is_going and machines.is_online(machine.instance_id)
    cost = machines.cost(machine)

    def text() -> None:
        for line in machine_lines(machine, online=online, cost=cost):
            click.echo(line)

    invocation.answer(machine_document(machine, online=online, cost=cost), text)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl aws wait i-0abc1234def567890")
@INSTANCE
@click.pass_obj
def wait(invocation: Invocation, instance_id: str) -> None:
    """Wait until a machine runs.

    That EC2 calls it running does not mean that it can be trained on: see wait-ssm.
    """
    machine = invocation.client.machines.wait(instance_id, online=False)

    def text() -> None:
        click.echo(f"{instance_id} runs.")
        invocation.say_next((f"runctl aws wait-ssm {instance_id}", "wait until it can be trained on"))

    invocation.answer(machine_document(machine), text)


@click.command("wait-ssm", cls=Verb, epilog="\b\nExamples:\n  runctl aws wait-ssm i-0abc1234def567890")
@INSTANCE
@click.pass_obj
def wait_ssm(invocation: Invocation, instance_id: str) -> None:
    """Wait until a machine can be trained on.

    SSM answers for it then: one to three minutes after a launch or a start.
    """
    machine = invocation.client.machines.wait(instance_id, online=True)

    def text() -> None:
        click.echo("Instance ready and SSM connected")
        invocation.say_next((f"runctl aws train {instance_id} SCRIPT --wait", "train on it"))

    invocation.answer(machine_document(machine, online=True), text)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl aws start i-0abc1234def567890 --wait")
@INSTANCE
@click.option("--wait", is_flag=True, help="Wait until SSM answers for it.")
@click.pass_obj
def start(invocation: Invocation, instance_id: str, wait: bool) -> None:
    """Start a stopped machine.

    One that runs stays as it is. Budgets must have room for the hour after which an idle machine is stopped.
    """
    machines = invocation.client.machines
    machine = machines.start(instance_id)
    if wait:
        machine = machines.wait(instance_id, online=True)

    def text() -> None:
        click.echo("Instance ready and SSM connected" if wait else f"{instance_id} starts.")
        invocation.say_next(
            (f"runctl aws train {instance_id} SCRIPT --wait", "train on it")
            if wait
            else (f"runctl aws wait-ssm {instance_id}", "wait until it can be trained on")
        )

    invocation.answer(machine_document(machine, online=True if wait else None), text)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl aws stop i-0abc1234def567890")
@INSTANCE
@click.pass_obj
def stop(invocation: Invocation, instance_id: str) -> None:
    """Stop a machine; its disk stays.

    The machine costs nothing then, its disk does. A run that trains on it is asked to save and ends first, as runctl
    cancel does. EC2 stops no spot machine.
    """
    machines = invocation.client.machines
    _free(invocation, machines, machines.check_stoppable(instance_id))
    machine = machines.stop(instance_id)

    def text() -> None:
        click.echo(f"{instance_id} stops; its disk is still paid for.")
        invocation.say_next(
            (f"runctl aws start {instance_id}", "start it again"),
            (f"runctl aws terminate {instance_id}", "end it, and its disk with it"),
        )

    invocation.answer(machine_document(machine), text)


@click.command(
    cls=Verb,
    epilog="\b\nExamples:\n  runctl aws terminate i-0abc1234def567890 --yes\n"
    "  runctl aws terminate i-0abc1234def567890 --now",
)
@INSTANCE
@click.option("--now", is_flag=True, help="Do not let a run that trains on it save first.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_obj
def terminate(invocation: Invocation, instance_id: str, now: bool, yes: bool) -> None:
    """End a machine, and its disk with it.

    Asks first, and warns when a training is alive: its run is asked to save and ends, as runctl cancel does, before the
    machine does.
    """
    machines = invocation.client.machines
    machine = machines.find(instance_id)
    if not machine.view.state.is_final and not yes:
        _ask(machine, now=now)
    _free(invocation, machines, machine, at_once=now)
    machine = machines.terminate(instance_id)

    def text() -> None:
        click.echo(f"{instance_id} ends.")
        invocation.say_next(("runctl resources list", "the machines that are paid for"))

    invocation.answer(machine_document(machine), text)


def _free(invocation: Invocation, machines: "Machines", machine: "Machine", *, at_once: bool = False) -> None:
    """Let a run that trains on the machine end first."""
    if machine.busy_with is None:
        return
    invocation.say(f"{_training(machine, at_once)} Waiting for its end.")
    machines.free(machine.instance_id, at_once=at_once)
    invocation.say_next(
        (f"runctl status {machine.busy_with}", "what it left"),
        (f"runctl resume {machine.busy_with}", "go on from there, on another machine"),
    )


def _training(machine: "Machine", at_once: bool) -> str:
    run = machine.last_run
    whose = "" if run is None else f" ({run.name}) of {run.user}"
    saves = "is ended at once; what is not yet saved is lost." if at_once else "is asked to save and ends first."
    return f"Run {machine.busy_with}{whose} trains on {machine.instance_id}; it {saves}"


def _ask(machine: "Machine", *, now: bool) -> None:
    instance_id = machine.instance_id
    warning = "" if machine.busy_with is None else f" {_training(machine, now)}"
    if not sys.stdin.isatty():
        raise Declined(
            f"{instance_id} was not ended: there is no terminal to ask.{warning}",
            hint=f"End it anyway with: runctl aws terminate {instance_id} --yes",
        )
    question = f"End {instance_id} ({machine.view.instance_type}) and delete its disk?"
    if not click.confirm(f"{warning} {question}".strip(), err=True):
        raise Declined("Nothing was ended.", hint=f"Stop it instead: runctl aws stop {instance_id}")
