"""The listing of what a training left in `RUNCTL_OUTPUT_DIR`: written after the files it names."""

from typing import Literal

from runctl.model.base import WireModel
from runctl.model.checkpoint import CheckpointFile


class OutputListing(WireModel):
    """`…/output.json` in the bucket, beside `…/output/`. A file's `path` is relative to `RUNCTL_OUTPUT_DIR`."""

    version: Literal[1] = 1
    files: tuple[CheckpointFile, ...]
