"""What uploads of checkpoints took, and so what the next one will take. No clock: moments are passed in."""

from collections import deque
from dataclasses import astuple, dataclass

from runctl.agent.note import Note

REMEMBERED = 5
"""Uploads that are looked at: a network that was slow once, hours ago, says little of now."""

LEAST_BYTES = 1024 * 1024
"""Smaller ones say nothing about the speed: they take what their requests take."""


@dataclass(frozen=True)
class Upload:
    """One checkpoint's way to the bucket."""

    bytes: int
    seconds: float


class UploadTimes:
    """Remembers the last uploads and the one that is on its way. May be asked by another thread than the uploader's."""

    def __init__(self, note: Note | None = None) -> None:
        """Take a note from which a supervisor that was started again knows them too."""
        self._note = note
        noted = (note.read() if note is not None else None) or {"uploads": ()}
        self._known: deque[Upload] = deque((Upload(*one) for one in noted["uploads"]), REMEMBERED)
        self._running: tuple[int, float] | None = None

    def begin(self, count: int, now: float) -> None:
        """Note that so many bytes set out."""
        self._running = (count, now)

    def end(self, now: float, *, arrived: bool) -> None:
        """Note that they arrived, or that they did not."""
        running, self._running = self._running, None
        if arrived and running is not None:
            self._known.append(Upload(running[0], now - running[1]))
            if self._note is not None:
                self._note.write({"uploads": [astuple(one) for one in self._known]})

    def expected_s(self, now: float) -> float:
        """Say how long an upload takes: the largest of the last ones, at the slowest speed of the last ones.

        One that is on its way counts with what it took until now, for nobody knows how long it will; 0 when nothing is
        known.
        """
        known, running = tuple(self._known), self._running
        longest_s = max((upload.seconds for upload in known), default=0.0)
        largest = max((upload.bytes for upload in known), default=0)
        if running is not None:
            longest_s = max(longest_s, now - running[1])
            largest = max(largest, running[0])
        slowest = max((u.seconds / u.bytes for u in known if u.bytes >= LEAST_BYTES), default=0.0)
        return max(longest_s, largest * slowest)
