"""`runctl completion`."""

from typing import Final

import click

from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  eval "$(runctl completion bash)"
  runctl completion zsh > "${fpath[1]}/_runctl"
  runctl completion fish > ~/.config/fish/completions/runctl.fish
"""

_PLACES: Final = {
    "bash": 'eval "$(runctl completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(runctl completion zsh)"   in ~/.zshrc, after compinit',
    "fish": "runctl completion fish > ~/.config/fish/completions/runctl.fish",
}


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(list(_PLACES)))
@click.pass_obj
def completion(invocation: Invocation, shell: str) -> None:
    """Print what lets a shell complete commands, flags and runs.

    Runs are those that a command has listed or started in this project on this machine; AWS is not asked.
    """
    from click.shell_completion import BashComplete, get_completion_class

    from runctl_cli.root import root

    found = get_completion_class(shell)
    assert found is not None
    maker = found(root, {}, "runctl", "_RUNCTL_COMPLETE")
    # Bash's own source() runs the bash that is first in PATH to see its version, which says nothing of the person's.
    script = maker.source_template % maker.source_vars() if isinstance(maker, BashComplete) else maker.source()

    def text() -> None:
        click.echo(script)
        invocation.say(f"To have it always: {_PLACES[shell]}")

    invocation.answer({"shell": shell, "script": script}, text)
