"""`runctl notify add`, `list` and `remove`."""

import re
from typing import TYPE_CHECKING

import click

from runctl.errors import NotFoundError, UsageError
from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb
from runctl_cli.tables import table_lines

if TYPE_CHECKING:
    from runctl.aws.subscriptions import Subscription

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ENDPOINT = re.compile(r"https?://\S+")


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl notify add email me@example.org\n")
@click.argument("protocol", type=click.Choice(["email", "https"]))
@click.argument("endpoint", metavar="ADDRESS|URL")
@click.pass_obj
def add(invocation: Invocation, protocol: str, endpoint: str) -> None:
    """Let an address or an endpoint hear of runs.

    Of every run of this deployment: how it ended, and warnings. The owner must confirm: by the link in the first
    e-mail, or by fetching the address in the first message to the endpoint.
    """
    pattern = _ADDRESS if protocol == "email" else _ENDPOINT
    if not pattern.fullmatch(endpoint):
        what = "an e-mail address" if protocol == "email" else "an HTTPS address"
        raise UsageError(f"{endpoint!r} is not {what}.", hint="See: runctl notify add --help")
    if endpoint.startswith("http://") and "//127.0.0.1" not in endpoint:
        raise UsageError("What runs say is not sent in the clear.", hint="Use an address that begins with https://")
    spoken = "http" if endpoint.startswith("http://") else protocol
    added = invocation.client.subscriptions.add(spoken, endpoint)

    def text() -> None:
        hears = "hears of runs" if added.is_confirmed else "must confirm first: see what it just received"
        click.echo(f"{endpoint} {hears}.")

    invocation.answer(_document(added), text)


@click.command("list", cls=Verb, epilog="\b\nExamples:\n  runctl notify list\n")
@click.pass_obj
def list_subscriptions(invocation: Invocation) -> None:
    """List who hears of runs."""
    found = invocation.client.subscriptions.all()

    def text() -> None:
        if not found:
            invocation.say("Nobody hears of runs.")
            invocation.say_next(("runctl notify add email ADDRESS", "let somebody hear"))
            return
        rows = [(each.protocol, each.endpoint, "yes" if each.is_confirmed else "not yet") for each in found]
        for line in table_lines(("BY", "TO", "CONFIRMED"), rows):
            click.echo(line)

    invocation.answer({"subscriptions": [_document(each) for each in found]}, text)


@click.command(cls=Verb, epilog="\b\nExamples:\n  runctl notify remove me@example.org\n")
@click.argument("endpoint", metavar="ADDRESS|URL")
@click.pass_obj
def remove(invocation: Invocation, endpoint: str) -> None:
    """Let an address or an endpoint hear no more."""
    removed = invocation.client.subscriptions.remove(endpoint)
    if not removed:
        raise NotFoundError(
            f"{endpoint} has no confirmed subscription.",
            hint="See: runctl notify list. What is not confirmed ends by itself after two days.",
        )
    invocation.answer({"removed": endpoint}, lambda: click.echo(f"{endpoint} hears of runs no more."))


def _document(each: "Subscription") -> dict[str, object]:
    return {"protocol": each.protocol, "endpoint": each.endpoint, "is_confirmed": each.is_confirmed}
