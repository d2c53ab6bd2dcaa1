"""Traces of faults of ours, kept on this machine so that they can be reported."""

import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from runctl import __version__

_KEPT: Final = 20
"""Files: the oldest go first."""

_SECRET: Final = re.compile(r"\b[A-Z0-9_]+=\S+")


def keep_trace(trace: str, words: Sequence[str]) -> Path | None:
    """Write a trace to a file that only this user can read; None when there is no place for it.

    The command line is written with it, without the values of variables.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runctl" / "faults"
    now = datetime.now(UTC)
    path = folder / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    command = " ".join(_SECRET.sub(lambda found: found[0].partition("=")[0] + "=***", word) for word in words)
    head = (
        f"runctl {__version__}, Python {sys.version.split()[0]}, {platform.platform()}\n{now:%Y-%m-%d %H:%M:%S} UTC\n"
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"{head}runctl {command}\n\n{trace}", encoding="utf-8")
        for old in sorted(folder.glob("*.txt"))[:-_KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return None
    return path
