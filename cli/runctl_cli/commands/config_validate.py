"""`runctl config validate`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl config validate
  runctl --config experiments/.runctl.toml config validate
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.pass_obj
def validate(invocation: Invocation) -> None:
    """Check the configuration file.

    What is wrong is told by line and key, with exit code 2.
    """
    path = invocation.configuration.path
    place = "There is no configuration file; the defaults hold." if path is None else f"{path} is right."

    def text() -> None:
        click.echo(place)
        if path is None:
            invocation.say_next(("runctl init", "write one"))

    invocation.answer({"config_path": None if path is None else str(path)}, text)
