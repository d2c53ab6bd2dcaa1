"""`runctl admin redrive`."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from runctl_cli.faults import Declined
from runctl_cli.invocation import Invocation
from runctl_cli.root import Verb
from runctl_cli.values import duration_text

if TYPE_CHECKING:
    from runctl.client.redriving import LettersPlan, Redriven
    from runctl.model.dead_letter import DeadLetter

EXAMPLES = """\b
Examples:
  runctl admin redrive --dry-run
  runctl admin redrive
  runctl admin redrive --yes
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Only say what lies there. So it is, too, where no terminal can ask.")
@click.option("--yes", "-y", is_flag=True, help="Do it, and do not ask.")
@click.pass_obj
def redrive(invocation: Invocation, dry_run: bool, yes: bool) -> None:
    """Send again what could not be delivered to the controller.

    Events whose function could not be reached or failed for good lie in the dead-letter queue for 14 days. Shows each,
    how old it is and why it is there, then hands it to its function. Mend the cause first. An event leaves the queue
    only when Lambda has taken it; what is known already changes nothing.
    """
    redriving = invocation.client.redriving
    plan = redriving.plan()
    if dry_run or not plan.ready or not (yes or sys.stdin.isatty()):
        _show(invocation, plan)
        return
    if not yes:
        for line in _lines(plan):
            invocation.say(line)
        if not click.confirm(f"Send {_count(len(plan.ready))} again?", err=True):
            raise Declined("Nothing was sent.", hint="See why they lie there: docs/runbook.md, dead letters")
    _tell(invocation, plan, redriving.send(plan))


def _show(invocation: Invocation, plan: "LettersPlan") -> None:
    def text() -> None:
        for line in _lines(plan):
            click.echo(line)
        if not plan.ready and not plan.staying:
            invocation.say("Nothing lies in the dead-letter queue.")
        elif plan.ready:
            invocation.say("Nothing was sent yet.")
            invocation.say_next((f"runctl {invocation.command} --yes", "send them again"))
        else:
            invocation.say("Nothing of it can be sent again; it vanishes after 14 days.")

    invocation.answer(_document(plan, dry_run=True), text)


def _tell(invocation: Invocation, plan: "LettersPlan", done: "Redriven") -> None:
    def text() -> None:
        for letter in done.sent:
            click.echo(f"sent again: {_name(letter)} to {_function(letter)}")
        for letter, why in plan.staying:
            invocation.say(f"Stays: {_name(letter)}: {why}")
        for letter in done.gone:
            invocation.say(f"Not handed out: {_name(letter)}. It is in other hands; look again in two minutes.")
        invocation.say_next(
            ("runctl admin redrive --dry-run", "what lies there now: what failed once more is back in some minutes"),
            ("runctl ps --all-users", "how the runs stand"),
        )

    faults = tuple(fault for _, fault in done.refused)
    invocation.answer(
        _document(plan, dry_run=False, done=done), text, errors=faults, exit_code=faults[0].exit_code if faults else 0
    )


def _lines(plan: "LettersPlan") -> list[str]:
    now = datetime.now(UTC)
    ready = [f"{_name(each)}, {_age(each, now)}, for {_function(each)}: {each.why}" for each in plan.ready]
    staying = [f"{_name(each)}, {_age(each, now)}, stays: {why}" for each, why in plan.staying]
    return [*ready, *staying]


def _age(letter: "DeadLetter", now: datetime) -> str:
    return f"{duration_text(now - letter.put_away_at)} old"


def _name(letter: "DeadLetter") -> str:
    return letter.about or f"message {letter.message_id}"


def _function(letter: "DeadLetter") -> str:
    return letter.target.rpartition("-")[2]


def _count(number: int) -> str:
    return f"{number} event{'' if number == 1 else 's'}"


def _document(plan: "LettersPlan", *, dry_run: bool, done: "Redriven | None" = None) -> dict[str, Any]:
    from runctl.model.base import iso

    outcomes = {each.message_id: "ready" for each in plan.ready} | {
        each.message_id: "stays" for each, _ in plan.staying
    }
    if done is not None:
        outcomes |= {each.message_id: "sent" for each in done.sent}
        outcomes |= {each.message_id: "refused" for each, _ in done.refused}
        outcomes |= {each.message_id: "not_handed_out" for each in done.gone}
    obstacles = {each.message_id: why for each, why in plan.staying}
    letters = [*plan.ready, *(each for each, _ in plan.staying)]
    return {
        "dry_run": dry_run,
        "letters": [
            {
                **each.model_dump(mode="json", exclude={"payload", "is_whole"}),
                "put_away_at": iso(each.put_away_at),
                "outcome": outcomes[each.message_id],
                "obstacle": obstacles.get(each.message_id),
            }
            for each in letters
        ],
    }
