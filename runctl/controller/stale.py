"""What an observer does when somebody else wrote first: it looks again and tries again, a few times."""

from collections.abc import Callable
from typing import Final, TypeVar

from runctl.errors import StaleWriteError

TRIES: Final = 5
"""A run has a handful of writers, and each of them writes a few times; who loses five times in a row meets a fault."""

Answer = TypeVar("Answer")


def until_written(read_and_write: Callable[[], Answer]) -> Answer:
    """Call `read_and_write`, which reads what it changes, until its write is not stale; the last time lets it out."""
    for _ in range(TRIES - 1):
        try:
            return read_and_write()
        except StaleWriteError:
            continue
    return read_and_write()
