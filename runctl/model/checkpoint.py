"""A checkpoint's manifest: written last, so that a checkpoint without one does not exist."""

from typing import Annotated, Literal

from pydantic import Field

from runctl.model.base import UtcDatetime, WireModel
from runctl.model.ids import AttemptNumber, RunId


class CheckpointFile(WireModel):
    """One file of a checkpoint. `path` is relative to the checkpoint directory, with forward slashes."""

    path: str
    key: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(WireModel):
    """`…/checkpoints/<name>/manifest.json` in the bucket."""

    version: Literal[1] = 1
    run_id: RunId
    attempt: AttemptNumber
    name: str
    """Name of the file or directory below `RUNCTL_CHECKPOINT_DIR`."""
    step: int | None = None
    """The last number in the name, e.g. 400 of `step-400.npz`; None when there is none."""
    saved_at: UtcDatetime
    files: Annotated[tuple[CheckpointFile, ...], Field(min_length=1)]
