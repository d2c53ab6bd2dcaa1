"""`runctl doctor`."""

from typing import Final

import click

from runctl.errors import CredentialsError
from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb
from runctl_cli.target_options import choose_account, profile_option, region_option

EXAMPLES = """\b
Examples:
  runctl doctor
  runctl doctor --region eu-central-1 --instance-type g5.xlarge
"""

_NOT_WELL: Final = 4
_COLOURS: Final = {"ok": "green", "problem": "red", "unknown": "yellow"}


@click.command(cls=Verb, epilog=EXAMPLES)
@profile_option
@region_option
@click.option(
    "--instance-type",
    "instance_types",
    multiple=True,
    metavar="TYPE",
    help="Type whose quotas and image are looked at; repeat for more.  [default: those of the configuration]",
)
@click.pass_obj
def doctor(invocation: Invocation, profile: str | None, region: str | None, instance_types: tuple[str, ...]) -> None:
    """Check what runs need of the account, and say how to mend it.

    Ends with 4 unless all is well. What may not be looked at is "unknown", and is not well. Nothing is changed.
    """
    from runctl.client.checks import Finding, Health

    configuration = choose_account(invocation, profile, region)
    invocation.say(f"Target {configuration.settings.target.value}.")
    findings: list[Finding] = []
    try:
        checks = invocation.wiring.checks(configuration, instance_types or configuration.settings.run.instance_type)
    except CredentialsError as error:
        findings.append(Finding(check="credentials", health=Health.PROBLEM, text=error.message, hint=error.hint))
    else:
        findings += checks.findings()
    is_well = all(finding.health is Health.OK for finding in findings)

    def text() -> None:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            health = click.style(f"{finding.health.value:<7}", fg=_COLOURS[finding.health.value])
            click.echo(f"{health}  {finding.check:<{width}}  {finding.text}")
            if finding.hint:
                click.echo(f"{'':<7}  {'':<{width}}  → {finding.hint}")

    invocation.answer(
        {"healthy": is_well, "findings": [finding.model_dump(mode="json") for finding in findings]},
        text,
        exit_code=0 if is_well else _NOT_WELL,
    )
