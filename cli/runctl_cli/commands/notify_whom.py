"""`runctl notify add`, `list` and `remove`."""

import re
import sys
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
_PLACE = re.compile(r"https?://[\w.-]+(:\d{1,5})?/[!-~]+")
_SLACK = "slack-webhook"
_LONGEST = 2000
"""Characters of a webhook's address; a parameter of Systems Manager holds 4,096."""


@click.command(
    cls=Verb,
    epilog="\b\nExamples:\n  runctl notify add email me@example.org\n"
    "  runctl notify add slack-webhook https://hooks.slack.com/services/...\n",
)
@click.argument("protocol", type=click.Choice(["email", "https", _SLACK]))
@click.argument("endpoint", metavar="ADDRESS|URL")
@click.pass_obj
def add(invocation: Invocation, protocol: str, endpoint: str) -> None:
    """Let an address or an endpoint hear of runs.

    Of every run of this deployment: how it ended, and warnings. The owner must confirm: by the link in the first
    e-mail, or by fetching the address in the first message to the endpoint. A Slack webhook (Slack: apps, "Incoming
    webhooks") hears at once; its address is a secret, kept in Systems Manager and shown masked. With - it is read
    from the standard input, so that no shell keeps it.
    """
    if endpoint == "-":
        endpoint = sys.stdin.readline().strip()
    if protocol == _SLACK:
        endpoint = _webhook(endpoint)
    pattern = _ADDRESS if protocol == "email" else _ENDPOINT
    if not pattern.fullmatch(endpoint):
        what = "an e-mail address" if protocol == "email" else "an HTTPS address"
        raise UsageError(f"{endpoint!r} is not {what}.", hint="See: runctl notify add --help")
    if endpoint.startswith("http://") and "//127.0.0.1" not in endpoint:
        raise UsageError("What runs say is not sent in the clear.", hint="Use an address that begins with https://")
    spoken = "http" if endpoint.startswith("http://") and protocol == "https" else protocol
    added = invocation.client.subscriptions.add(spoken, endpoint)

    def text() -> None:
        hears = "hears of runs" if added.is_confirmed else "must confirm first: see what it just received"
        click.echo(f"{added.endpoint} {hears}.")

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
    """Let an address or an endpoint hear no more.

    A Slack webhook by its address, or by what `runctl notify list` shows of it.
    """
    removed = invocation.client.subscriptions.remove(endpoint)
    if not removed:
        raise NotFoundError(
            f"{endpoint} has no confirmed subscription.",
            hint="See: runctl notify list. What is not confirmed ends by itself after two days.",
        )
    invocation.answer({"removed": endpoint}, lambda: click.echo(f"{endpoint} hears of runs no more."))


def _webhook(given: str) -> str:
    """The address of a webhook, looked at; no message repeats it, for it is a secret."""
    if not given.isascii() or len(given) > _LONGEST or not _PLACE.fullmatch(given) or "****" in given:
        raise UsageError(
            "That is not the address of a webhook.", hint="It begins with https://hooks.slack.com/services/"
        )
    return given


def _document(each: "Subscription") -> dict[str, object]:
    return {"protocol": each.protocol, "endpoint": each.endpoint, "is_confirmed": each.is_confirmed}
