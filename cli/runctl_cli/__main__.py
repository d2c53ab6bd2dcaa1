"""`python -m runctl_cli` is `runctl`."""

import gc
import sys
from typing import Final

from runctl_cli.main import main

_OBJECTS: Final = 50_000
"""How many new objects make Python look for garbage in cycles. Its own 700 are too few here: nearly all objects are
classes and AWS's service models, which stay to the end, and going through them takes a tenth of a command's time."""


def program() -> int:
    """Run the command line as a process of its own; answers its exit code."""
    gc.set_threshold(_OBJECTS)
    exit_code = main()
    # The process ends: what it holds need not be gone through once more (0.07 s with boto3 loaded).
    gc.freeze()
    return exit_code


if __name__ == "__main__":
    sys.exit(program())
