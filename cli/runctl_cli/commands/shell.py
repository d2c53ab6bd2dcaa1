"""`runctl shell`."""

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from runctl.errors import UsageError
from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.output import OutputFormat
from runctl_cli.parameters import PORTS
from runctl_cli.root import Verb

if TYPE_CHECKING:
    from runctl.client.inside import Inside

EXAMPLES = """\b
Examples:
  runctl shell last
  runctl shell last -L 6006
  runctl shell r-1hx3k7p -L 16006:6006
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.option(
    "-L",
    "forwards",
    type=PORTS,
    multiple=True,
    metavar="[LOCAL:]PORT",
    help="Bring a port of the machine here meanwhile, as ssh does; repeat for more.",
)
@click.pass_obj
def shell(invocation: Invocation, run_name: str, forwards: tuple[tuple[int, int], ...]) -> None:
    """Open a shell on the machine of a run.

    RUN is an id, the beginning of one, or "last"; somebody else's is refused. On AWS by Session Manager: no port of the
    machine is open, and no key is needed; AWS's Session Manager plugin must be installed here. The training goes on.
    """
    if invocation.output is OutputFormat.JSON:
        raise UsageError("A shell answers no document.", hint="Leave --output json away.")
    client = invocation.client
    run = client.run(run_name)
    if run.user != client.user:
        raise Declined(
            f"Run {run.run_id} ({run.name}) is {run.user}'s, not yours; its machine is not entered.",
            hint=f"Ask {run.user}, or look from outside: runctl logs {run.run_id} -f",
        )
    inside = client.enter(run)
    is_local = invocation.configuration.settings.target.value == "local"
    code = _local(invocation, inside, forwards) if is_local else _remote(invocation, inside, forwards)
    invocation.say_next((f"runctl status {run.run_id}", "how the run stands"))
    invocation.answer({"run_id": run.run_id, "instance_id": inside.instance_id}, exit_code=code)


def _local(invocation: Invocation, inside: "Inside", forwards: tuple[tuple[int, int], ...]) -> int:
    """A shell among the machine's processes, which ends with the machine."""
    for here, there in forwards:
        if here != there:
            raise UsageError(
                f"Machines of the local target have this computer's ports: {there} is here already.",
                hint=f"Reach it at 127.0.0.1:{there}, without -L.",
            )
        invocation.say(f"Port {there} of the machine is 127.0.0.1:{there} here already.")
    found = invocation.local_cloud.shell(inside.instance_id, inside.project)
    invocation.say(f"A shell on {inside.instance_id}, in {found.folder}. Leave it with: exit")
    return subprocess.run(found.command, cwd=found.folder, env=found.environment, check=False).returncode


def _remote(invocation: Invocation, inside: "Inside", forwards: tuple[tuple[int, int], ...]) -> int:
    from runctl_cli.session_plugin import SessionPlugin

    plugin = SessionPlugin.find(invocation.configuration.settings.aws.profile)
    sessions = invocation.client.sessions
    with ExitStack() as open_sessions:
        for here, there in forwards:
            forwarding = sessions.forwarding(inside.instance_id, here, there)
            open_sessions.callback(sessions.end, forwarding.session_id)
            open_sessions.enter_context(plugin.beside(forwarding))
            invocation.say(f"Port {there} of the machine is 127.0.0.1:{here} here until you leave.")
        session = sessions.shell(inside.instance_id)
        open_sessions.callback(sessions.end, session.session_id)
        invocation.say(f"The project is in /opt/runctl/{inside.project}; sudo -i makes you root. Leave with: exit")
        return plugin.run(session)
