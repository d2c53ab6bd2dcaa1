"""Heartbeats to the waiting state of the run, and how long the controller has been silent."""

from typing import Protocol

from runctl.agent.clock import Clock
from runctl.agent.run_log import Say


class DeadTokenError(Exception):
    """Nobody waits for the token any more: the state timed out, was answered, or its execution ended."""


class Heartbeats(Protocol):
    """Step Functions. Raises DeadTokenError, or OSError when the call may work later."""

    def send(self, token: str) -> None:
        """Send one heartbeat."""
        ...

    def newest_token(self) -> str | None:
        """Read the token that the hand-off holds now; None when it holds none for this attempt."""
        ...


class Heartbeat:
    """Sends heartbeats and remembers the last time that the controller was there.

    A dead token is normal (a warned machine's replacement has taken over, or the run ends) and never a reason to stop;
    but it is no contact either, so a machine that nobody owns any more stops when `dead_man_s` has passed. A state that
    Step Functions tries again waits with another token: the controller writes it to the hand-off, and it is read there.
    """

    def __init__(self, heartbeats: Heartbeats, token: str, interval_s: float, clock: Clock, say: Say) -> None:
        self._heartbeats = heartbeats
        self._token: str = token
        self._interval_s = interval_s
        self._clock = clock
        self._say = say
        self._due_at = clock.monotonic()
        self._dead = False
        self._failing = False
        self.last_contact_at = clock.monotonic()

    def note_contact(self) -> None:
        """The controller was heard of in another way: a command of its came."""
        self.last_contact_at = self._clock.monotonic()

    def step(self) -> None:
        """Send one when it is due."""
        now = self._clock.monotonic()
        if now < self._due_at:
            return
        self._due_at = now + self._interval_s
        try:
            if self._dead and not self._take_newest_token():
                return
            self._heartbeats.send(self._token)
        except DeadTokenError as error:
            self._dead = True
            self._say(f"the controller no longer waits for this attempt ({error}); going on")
        except OSError as error:
            if not self._failing:
                self._say(f"a heartbeat did not get through ({error}); trying on")
            self._failing = True
        else:
            self._failing = False
            self.note_contact()

    def _take_newest_token(self) -> bool:
        token = self._heartbeats.newest_token()
        if token is None or token == self._token:
            return False
        self._say("the controller waits for this attempt with another token")
        self._token = token
        self._dead = False
        return True
