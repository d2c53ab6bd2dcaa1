"""The options by which `deploy`, `destroy` and `doctor` choose an account and Region."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from runctl.errors import UsageError
from runctl_cli.invocation import Invocation

if TYPE_CHECKING:
    from runctl_cli.settings import Configuration

profile_option = click.option(
    "--profile", metavar="NAME", help="Profile of the AWS configuration.  [default: as the AWS CLI finds it]"
)
region_option = click.option("--region", metavar="REGION", help="AWS Region.  [default: as the AWS CLI finds it]")


def choose_account(
    invocation: Invocation, profile: str | None, region: str | None, *, means_aws: bool = False
) -> "Configuration":
    """Put the options over what the configuration says.

    Who names a profile or a Region means AWS, whatever target the file says; so does a command with `means_aws`. The
    flag --target and RUNCTL_TARGET weigh more. Raises UsageError when they say local and an account is named.
    """
    from runctl_cli.settings import Target
    from runctl_cli.settings_file import TARGET_VARIABLE

    configuration = invocation.configuration
    given = {name: value for name, value in (("profile", profile), ("region", region)) if value is not None}
    settings = configuration.settings
    said = invocation.target or os.environ.get(TARGET_VARIABLE)
    if said is None and (given or means_aws):
        settings = settings.model_copy(update={"target": Target.AWS})
    if given and settings.target is Target.LOCAL:
        raise UsageError(
            f"--{next(iter(given))} is about an AWS account, and the target is local.",
            hint="Leave it out, or: --target aws",
        )
    aws = settings.aws.model_copy(update=given)
    return replace(configuration, settings=settings.model_copy(update={"aws": aws}))
