"""`runctl init`."""

from pathlib import Path

import click

from runctl.errors import ConfigurationError
from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb
from runctl_cli.settings_template import TEMPLATE


@click.command(
    cls=Verb, epilog="\b\nExamples:\n  runctl init\n  runctl init --config-path experiments/.runctl.toml --force"
)
@click.option(
    "--config-path",
    type=click.Path(path_type=Path),
    default=Path(".runctl.toml"),
    show_default=True,
    metavar="FILE",
    help="Where to write it.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.pass_obj
def init(invocation: Invocation, config_path: Path, force: bool) -> None:
    """Write .runctl.toml with every setting and its default."""
    if config_path.is_dir():
        raise ConfigurationError(
            f"{config_path} is a folder.",
            hint=f"Name the file: runctl init --config-path {config_path / '.runctl.toml'}",
        )
    if config_path.exists() and not force:
        raise ConfigurationError(
            f"{config_path} is there already and was not touched.", hint="Replace it with: runctl init --force"
        )
    try:
        config_path.parent.mkdir(parents=True, exist_ok=True)
        config_path.write_text(TEMPLATE, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{config_path} cannot be written: {error.strerror}.", hint="Choose another place with --config-path."
        ) from error

    def text() -> None:
        click.echo(f"Wrote {config_path}.")
        invocation.say_next(
            ("runctl local up", "start the cloud on this machine"),
            ("runctl train SCRIPT --spot --wait", "train on a machine of its own"),
        )

    invocation.answer({"config_path": str(config_path)}, text)
