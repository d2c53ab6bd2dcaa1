"""`runctl config set`."""

from pathlib import Path

import click

from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb

EXAMPLES = """\b
Examples:
  runctl config set run.max_runtime 12h
  runctl config set run.instance_type '["g5.xlarge", "g6.xlarge"]'
  runctl config set target aws
"""


@click.command("set", cls=Verb, epilog=EXAMPLES)
@click.argument("key", metavar="SECTION.NAME")
@click.argument("value", metavar="VALUE")
@click.pass_obj
def set_(invocation: Invocation, key: str, value: str) -> None:
    """Change one setting in the configuration file.

    Its other lines and comments stay as they are. VALUE is text, a number, true or false, or a list as TOML writes
    it. What would not be valid is refused, and the file is left alone.
    """
    from runctl_cli.setting_values import checked_change
    from runctl_cli.settings_edit import write_settings
    from runctl_cli.settings_file import CONFIG_NAME

    configuration = invocation.configuration
    path = configuration.path or Path.cwd() / CONFIG_NAME
    place, typed = checked_change(path, key, value)
    is_changed = write_settings(path, {place: typed})

    def text() -> None:
        click.echo(f"{path}: {key} = {value}" + ("" if is_changed else " (as it was)"))
        invocation.say_next(("runctl config show", "every setting, and where it comes from"))

    invocation.answer({"config_path": str(path), "key": key, "value": typed, "changed": is_changed}, text)
