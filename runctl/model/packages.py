"""Packages that one attempt of a run leaves to the next. Without a listing, written last, they do not exist."""

from typing import Annotated, Literal

from pydantic import Field

from runctl.model.base import WireModel
from runctl.model.checkpoint import CheckpointFile
from runctl.model.ids import AttemptNumber, RunId


class PackagesListing(WireModel):
    """`packages/<role-id>:<instance-id>/<run>/<0001>/packages.json` in the bucket."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    content: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """What the packages were made of, as `runctl.agent.package_cache.content_of` names it: the files of the project
    that say so, Python, platform and architecture. Another machine compares it with its own."""
    files: Annotated[tuple[CheckpointFile, ...], Field(min_length=1, max_length=1_000)]
    """The pieces of one archive, in their order."""
