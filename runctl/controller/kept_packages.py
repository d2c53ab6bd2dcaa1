"""What a new machine may install from: packages that an earlier attempt of its run, or of its user's own earlier run
that it goes on from, has left."""

from collections.abc import Iterator
from typing import Protocol

from runctl.controller.ports import RunStore
from runctl.model.attempt import Attempt
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.job import KeptPackages, LinkedFile
from runctl.model.packages import PackagesListing
from runctl.model.run import Run

LOOKS = 5
"""How many earlier attempts are asked: each is a request, and those before had the same packages."""


class PackageShelf(Protocol):
    """Where machines leave packages. `role_id` as with `Bucket`."""

    def prefix_of(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> str:
        """Name the prefix below which the machine may leave packages."""
        ...

    def listing(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> PackagesListing | None:
        """Read what an attempt's machine left; None when it left nothing, or what cannot be believed (logged)."""
        ...

    def links(self, listing: PackagesListing) -> tuple[LinkedFile, ...]:
        """Make short-lived links to read the pieces."""
        ...


def offered_packages(run: Run, attempt: Attempt, *, runs: RunStore, packages: PackageShelf) -> KeptPackages | None:
    """Find the newest packages that were left, with links. What they were made of the machine compares itself."""
    earlier = _earlier(run, attempt, runs=runs)
    for other, _ in zip(earlier, range(LOOKS), strict=False):
        if other.instance_id is None:
            continue
        listing = packages.listing(other.run_id, other.number, other.instance_id, role_id=other.role_id)
        if listing is not None:
            return KeptPackages(content=listing.content, files=packages.links(listing))
    return None


def _earlier(run: Run, attempt: Attempt, *, runs: RunStore) -> Iterator[Attempt]:
    """Go through the attempts before, newest first. Another person's packages are nothing to run here."""
    if attempt.number > 1:
        yield from (each for each in reversed(runs.attempts(run.run_id)) if each.number < attempt.number)
    if run.resumed_from is None:
        return
    before = runs.run(run.resumed_from.run_id)
    if before is not None and (before.user, before.project) == (run.user, run.project):
        yield from reversed(runs.attempts(before.run_id))
