"""The options by which `deploy`, `destroy` and `doctor` choose an account and Region."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runctl_cli.settings import Configuration

profile_option = click.option(
    "--profile", metavar="NAME", help="Profile of the AWS configuration.  [default: as the AWS CLI finds it]"
)
region_option = click.option("--region", metavar="REGION", help="AWS Region.  [default: as the AWS CLI finds it]")


def choose_account(configuration: "Configuration", profile: str | None, region: str | None) -> "Configuration":
    """Put the options over what [aws] says."""
    given = {name: value for name, value in (("profile", profile), ("region", region)) if value is not None}
    settings = configuration.settings
    return replace(
        configuration,
        settings=settings.model_copy(update={"aws": settings.aws.model_copy(update=given)}),
    )
