"""`runctl config show`."""

import click

from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl config show
  runctl --output json config show
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.pass_obj
def show(invocation: Invocation) -> None:
    """Print every setting, and where it comes from.

    A setting comes from the default, the file, or the environment and the command line, each weighing more than the
    one before. Values of [run.env] are hidden.
    """
    from runctl_cli.setting_values import known_settings
    from runctl_cli.tables import table_lines

    configuration = invocation.configuration
    known = known_settings(configuration)
    path = None if configuration.path is None else str(configuration.path)

    def text() -> None:
        click.echo("No configuration file; the defaults hold." if path is None else path)
        rows = [(setting.key, setting.text, setting.source.value) for setting in known]
        for line in table_lines(("SETTING", "VALUE", "FROM"), rows):
            click.echo(line)

    settings = [{"key": s.key, "value": s.value, "source": s.source.value} for s in known]
    invocation.answer({"config_path": path, "settings": settings}, text)
