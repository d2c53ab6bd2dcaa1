"""Leaves the packages that an attempt installed to the next one, beside its training and at nobody's cost.

What is still to be kept is noted, so that an agent that is started again begins anew with it.
"""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runctl.agent import package_pack
from runctl.agent.note import Note
from runctl.agent.object_store import ObjectStore
from runctl.agent.package_cache import PACKED
from runctl.agent.run_log import Say

WORTH_S: Final = 5.0
"""An environment that was made sooner is made again as soon as it is fetched."""

DELAY_S: Final = 10.0
"""After the training's start: its own beginning, with its first reads of data, comes before."""

PIECE_BYTES: Final = 64 * 1024 * 1024
"""Between two pieces it is looked whether the machine is wanted for something else."""

LIMIT_BYTES: Final = 3 * 1024 * 1024 * 1024
"""Of what is packed: PyTorch with all of CUDA is about 2.5 GB. A larger one is installed anew."""

_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Installed:
    """Packages that were installed from an index."""

    content: str
    """`package_cache.content_of`."""
    seconds: float


class PackageKeeping:
    """Packs and uploads in a thread of its own; the first sign of an end ends it."""

    def __init__(
        self,
        tools: Path,
        folder: Path,
        prefix: str,
        store: ObjectStore,
        identity: dict[str, str | int],
        is_unwanted: Callable[[], bool],
        say: Say,
        note: Note,
        *,
        worth_s: float = WORTH_S,
        delay_s: float = DELAY_S,
    ) -> None:
        self._tools = tools
        self._folder = folder
        self._prefix = prefix
        self._store = store
        self._identity = identity
        self._is_unwanted = is_unwanted
        self._say = say
        self._note = note
        self._worth_s = worth_s
        self._delay_s = delay_s
        self._stop = threading.Event()

    def begin(self, installed: Installed | None) -> None:
        """Keep them, when it is worth it; returns at once."""
        if self._prefix and installed is not None and installed.seconds >= self._worth_s:
            self._note.write({"content": installed.content})
            self._begin(installed.content)

    def go_on(self) -> None:
        """Keep what the agent before this one had not yet kept."""
        noted = self._note.read()
        if noted is not None and noted["content"] is not None:
            self._begin(str(noted["content"]))

    def end(self) -> None:
        """Give up what is not done."""
        self._stop.set()

    def _begin(self, content: str) -> None:
        threading.Thread(target=self._run, args=(content,), name="packages", daemon=True).start()

    def _run(self, content: str) -> None:
        if self._stop.wait(self._delay_s):
            return
        try:
            self.keep(content)
            self._note.write({"content": None})
        except OSError as error:
            self._say(f"the packages could not be kept for a later attempt: {error}")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def keep(self, content: str) -> None:
        """Pack, upload, and write the listing last: packages without one do not exist. Raises OSError."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        if not self._pack():
            return
        files: list[dict[str, str | int]] = []
        for path in sorted(self._folder.iterdir()):
            if self._is_over():
                return
            key = f"{self._prefix}{path.name}"
            stored = self._store.put_file(key, path)
            path.unlink()
            files.append({"path": path.name, "key": key, "bytes": stored.bytes, "sha256": stored.sha256})
        listing = {"version": 1, **self._identity, "content": content, "files": files}
        self._store.put(f"{self._prefix}packages.json", json.dumps(listing).encode())
        size = sum(int(file["bytes"]) for file in files) / 1e6
        self._say(f"the packages are kept for a later attempt ({size:,.1f} MB)")

    def _pack(self) -> bool:
        sizes = (str(PIECE_BYTES), str(LIMIT_BYTES))
        command = [sys.executable, "-I", "-S", package_pack.__file__, "pack", str(self._tools), str(self._folder)]
        process = subprocess.Popen(
            [*command, *sizes, *PACKED], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            while True:
                try:
                    _, errors = process.communicate(timeout=_LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    if self._is_over():
                        return False
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if process.returncode == package_pack.TOO_LARGE:
            self._say(f"the packages are not kept for a later attempt: they are larger than {LIMIT_BYTES / 1e9:.1f} GB")
            return False
        if process.returncode != 0:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2]
            raise OSError(f"packing ended with exit code {process.returncode}: {last}")
        return True

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._is_unwanted()
