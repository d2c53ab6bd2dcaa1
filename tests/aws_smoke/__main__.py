"""`make aws-smoke ACCOUNT=<twelve digits>`: the whole product once in a real account, for less than a dollar.

Deploys runctl into an account where it is not deployed, trains on one t3.micro spot machine, has EC2 take it away
through AWS FIS, checks what became of the run, and removes everything, whatever happened. `--target local` does the
same on the local target.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from runctl.errors import RunctlError
from tests.aws_smoke.interruption import InterruptionFailed
from tests.aws_smoke.places import CommandFailed, Place, aws_place, local_place
from tests.aws_smoke.smoke import (
    NotSeen,
    Refused,
    claims,
    deploy,
    destroy,
    require_no_stack,
    train_and_interrupt,
    train_in_container,
    validate_definition,
)

COSTS = """\
This deploys runctl into a real account and spends real money there: two spot machines (t3.micro) for some minutes,
their public addresses, two minutes of AWS FIS, and requests; about 0.30 USD, less than 1 USD. Everything but one empty
bucket is removed at the end. It needs an administrator's credentials: it makes roles, and an experiment of AWS FIS.
"""
AWS_STEPS, AWS_PAUSE_S = 90, 5.0
"""A training of 450 s: by then a role for FIS is known everywhere, and the two minutes of notice are over."""


def main() -> int:
    """0: all claims hold; 1: something does not; 2: it did not begin."""
    parser = argparse.ArgumentParser(prog="python -m tests.aws_smoke", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", choices=("aws", "local"), default="aws")
    parser.add_argument(
        "--account", default="", help="the account that may be charged, spelled out; must be the credentials'"
    )
    parser.add_argument("--profile", default=None)
    parser.add_argument("--region", default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="runctl-smoke-") as folder:
        if asked.target == "local":
            place = local_place(Path(folder))
            try:
                return run_smoke(place, steps=200, pause_s=0.1)
            finally:
                place.runctl("local", "down")
        try:
            place = admitted(Path(folder), account=asked.account, profile=asked.profile, region=asked.region)
        except Refused as error:
            sys.stderr.write(f"{COSTS}\n{error}\nNothing was touched.\n")
            return 2
        return run_smoke(place, steps=AWS_STEPS, pause_s=AWS_PAUSE_S)


def admitted(project: Path, *, account: str, profile: str | None, region: str | None) -> Place:
    """The account to run in, once everything speaks for it. Raises Refused."""
    if not account:
        raise Refused("Name the account that may be charged: make aws-smoke ACCOUNT=<twelve digits>")
    try:
        place = aws_place(project, profile=profile, region=region)
    except (BotoCoreError, ClientError) as error:
        raise Refused(f"There are no credentials that work: {error}") from error
    if place.account != account:
        raise Refused(f"The credentials are those of account {place.account}, not of {account}.")
    require_no_stack(place)
    return place


def run_smoke(place: Place, *, steps: int, pause_s: float) -> int:
    """Deploy, train, check, destroy."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    say(f"target {place.target}, account {place.account}, Region {place.region}")
    try:
        if place.target == "aws":
            for found in validate_definition(place):
                say(f"Step Functions says of the definition: {found}")
        say("deploying")
        deploy(place)
        checked = claims(train_and_interrupt(place, steps=steps, pause_s=pause_s, say=say))
        if place.target == "aws":
            checked = (*checked, *train_in_container(place, say=say))
        for claim in checked:
            say(f"{'holds' if claim.holds else 'DOES NOT HOLD':<14} {claim.text}")
        holds = all(claim.holds for claim in checked)
    except (CommandFailed, NotSeen, InterruptionFailed, RunctlError, ClientError, KeyboardInterrupt) as error:
        say(f"failed: {error!r}")
        holds = False
    return 0 if removed(place, say) and holds else 1


def removed(place: Place, say: Callable[[str], None]) -> bool:
    """Remove what there is of it; False when something is left, which is said."""
    try:
        require_no_stack(place)
    except Refused:
        say("removing everything")
    else:
        say("there is nothing to remove")
        return True
    try:
        left = destroy(place)
    except (CommandFailed, ClientError) as error:
        say(f"NOT removed: {error}")
        say("remove it by hand: runctl destroy --force --empty-bucket, and delete the stack runctl in the console")
        return False
    say(
        "removed"
        if left is None
        else f"removed; the empty bucket {left} is left, free of charge, for a next deployment"
    )
    return True


if __name__ == "__main__":
    sys.exit(main())
