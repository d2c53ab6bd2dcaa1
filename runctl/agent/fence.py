"""The fence between two machines of a run: the new one trains only when the old one cannot any more.

The controller leaves its word in each machine's hand-off: `go.json` lets the new one train, `replacement_ready.json`
tells the old one that another is prepared and waits for it. Both are asked for, for nothing can call a machine.
"""

from collections.abc import Callable
from typing import Final

from runctl.agent.clients import AwsRefused
from runctl.agent.clock import Clock, iso
from runctl.agent.events import EventKind, EventSender
from runctl.agent.job import Go, Job, JobError, read_go
from runctl.agent.notice import NoticeWatch
from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import Say
from runctl.agent.setup_error import SetupCancelledError

LOOK_S: Final = 1.0
"""How often the bucket is asked; a thousand questions cost less than half a cent (Amazon S3 pricing, GET requests)."""

SAY_S: Final = 10.0
"""How often the machine says that it waits. Each event is paid for, and there are few: a notice is two minutes."""

_NOT_THERE: Final = frozenset({"NoSuchKey", "404", "AccessDenied", "403"})
"""What S3 answers for an object that is not there; without the right to list the bucket it says that access is denied
(Amazon S3 API Reference, GetObject)."""


class Fence:
    """Waits, in the thread that prepares, until the controller lets this machine train."""

    def __init__(
        self,
        job: Job,
        store: ObjectStore,
        events: EventSender,
        clock: Clock,
        wait: Callable[[float], object],
        say: Say,
    ) -> None:
        self._job = job
        self._key = f"{job.handoff}go.json"
        self._store = store
        self._events = events
        self._clock = clock
        self._wait = wait
        self._say = say
        self._said_at: float | None = None
        self._failing = ""

    def passed(self, cancelled: Callable[[], bool]) -> Go:
        """Wait for the word, and answer it; at once where there is no fence. Raises SetupCancelledError."""
        if not self._job.must_fence:
            return Go(self._job.resume_points, self._job.max_runtime_s)
        self._say("ready; waiting until the machine before this one has saved and left")
        since = iso(self._clock.now())
        while True:
            go = self._look()
            if go is not None:
                self._say("no earlier machine trains any more")
                return go
            self._tell(since)
            self._wait(LOOK_S)
            if cancelled():
                raise SetupCancelledError

    def _look(self) -> Go | None:
        body = read_word(self._store, self._key, self._complain)
        if body is None:
            return None
        try:
            return read_go(body, self._job)
        except (JobError, ValueError) as error:  # being written, or another attempt's: the next look may find ours
            self._complain(str(error))
            return None

    def _tell(self, since: str) -> None:
        now = self._clock.monotonic()
        if self._said_at is not None and now - self._said_at < SAY_S:
            return
        try:
            self._events.send(EventKind.WAITING_FOR_HAND_OVER, {"waiting_since": since})
        except OSError as error:  # said again at the next look
            self._complain(str(error))
        else:
            self._said_at = now

    def _complain(self, problem: str) -> None:
        if problem != self._failing:
            self._failing = problem
            self._say(f"the hand-over could not be asked for or told ({problem}); trying on")


class ReplacementWatch:
    """On the old machine, from the notice on: learns that the new one waits."""

    def __init__(self, job: Job, store: ObjectStore, notices: NoticeWatch, say: Say) -> None:
        self._key = f"{job.handoff}replacement_ready.json"
        self._store = store
        self._notices = notices
        self._say = say

    def step(self) -> None:
        """Ask once, if there is anything to ask."""
        if self._notices.notice is None or self._notices.is_replacement_ready:
            return
        if read_word(self._store, self._key, lambda _: None) is not None:
            self._say("another machine is ready to go on")
            self._notices.is_replacement_ready = True


def read_word(store: ObjectStore, key: str, complain: Say) -> bytes | None:
    """Read what the controller left under a key; None when there is nothing, or when S3 does not answer now."""
    try:
        return store.get(key)
    except AwsRefused as error:
        if error.code not in _NOT_THERE:
            complain(str(error))
    except OSError as error:
        complain(str(error))
    return None
