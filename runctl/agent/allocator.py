"""Lets the C library give memory back that large uploads have used."""

import ctypes

# mallopt(3). The threshold from which on blocks are mapped, and unmapped when they are freed, grows to 32 MiB by itself
# once such a block was freed; then the parts of uploads stay in the heaps of many threads. Set by hand it stays.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MAPPED_FROM_BYTES = 1024 * 1024
ARENAS = 2


def give_back_what_is_freed() -> bool:
    """Set the limits; says whether the C library is one that has them (glibc)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)) and bool(mallopt(_M_ARENA_MAX, ARENAS))
