"""Looking at real processes without waiting longer than needed."""

import os
import time
from collections.abc import Callable
from pathlib import Path

LIMIT_S = 10.0


def until(claim: Callable[[], object]) -> None:
    """Wait for a process of a few milliseconds."""
    limit = time.monotonic() + LIMIT_S
    while not claim():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not just its entry for a parent that did not ask yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
