"""A look at the account before the first launch: what is missing there is said before anything is made."""

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runctl import __version__
from runctl_cli.faults import AccountNotReady
from runctl_cli.invocation import Invocation

if TYPE_CHECKING:
    from runctl.client.place import Place
    from runctl.model.run import RunRequest

_GOOD_FOR_S: Final = 24 * 3_600


def look_first(invocation: Invocation, place: "Place", request: "RunRequest") -> None:
    """Look at what this run needs of an AWS account, unless that was found well within a day. Raises AccountNotReady.

    What may not be looked at stands in nobody's way: the launch itself tells. On the local target all is there.
    """
    from runctl.client.checks import Health

    configuration = invocation.configuration
    if configuration.settings.target.value == "local":
        return
    note = _note(place, request)
    if _is_fresh(note):
        return
    invocation.say("Looking at the account before the first launch (--no-doctor leaves that away).")
    checks = invocation.wiring.checks(configuration, request.instance_types)
    found = list(checks.quick(request.purchase_option))
    problems = [finding for finding in found if finding.health is Health.PROBLEM]
    for finding in problems:
        invocation.say(f"problem  {finding.check}: {finding.text}")
        if finding.hint:
            invocation.say(f"         → {finding.hint}")
    if problems:
        first = problems[0]
        more = "" if len(problems) == 1 else f" And {len(problems) - 1} more: see runctl doctor."
        raise AccountNotReady(
            f"Nothing was launched. {first.check}: {first.text}{more}",
            hint=f"{first.hint} Launch all the same with --no-doctor.".strip(),
        )
    for finding in found:
        if finding.health is Health.UNKNOWN and invocation.verbose:
            invocation.say(f"unknown  {finding.check}: {finding.text}")
    _keep(note)


def _note(place: "Place", request: "RunRequest") -> Path:
    """The file that says, by its time, when all was well for such a run."""
    needs = sha256(" ".join([request.purchase_option.value, *request.instance_types]).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "runctl" / "doctor" / f"{place.account}-{place.region}-{__version__}-{needs}"


def _is_fresh(note: Path) -> bool:
    try:
        return 0 <= time.time() - note.stat().st_mtime < _GOOD_FOR_S
    except OSError:
        return False


def _keep(note: Path) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()
    except OSError:
        return
