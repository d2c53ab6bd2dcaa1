"""When the training's time is over.

The run may have been extended: then the controller has left `limits.json` in the hand-off. It is asked for once, when
the time that is known of is over.
"""

import json
from typing import Any, Final

from runctl.agent.clock import Clock
from runctl.agent.fence import read_word
from runctl.agent.job import Job
from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import Say

BEFORE_ANY_DEADLINE: Final = float("inf")

ANSWER_S: Final = 30.0
"""How long the bucket's answer is waited for before the training is asked to leave; less than the minute after which
the controller stops the run itself (`runctl.policy.budget_limits.AGENT_GOES_FIRST`)."""


class Deadline:
    """The supervisor reads it, a thread of its own asks."""

    def __init__(self, job: Job, store: ObjectStore, clock: Clock, say: Say) -> None:
        self._job = job
        self._key = f"{job.handoff}limits.json"
        self._store = store
        self._clock = clock
        self._say = say
        self._began_at = BEFORE_ANY_DEADLINE
        self._limit_s: float = 0.0
        self._asked_of_s: float = -1.0
        """The limit that was asked about when it was over."""

    @property
    def at(self) -> float:
        """When the training is asked to leave, on the monotonic clock."""
        waits_for_answer = self._asked_of_s != self._limit_s
        return self._began_at + self._limit_s + (ANSWER_S if waits_for_answer else 0.0)

    def training_began(self, at: float, max_runtime_s: float) -> None:
        """From then on `max_runtime` is counted."""
        self._limit_s = max_runtime_s
        self._began_at = at

    def step(self) -> None:
        """Ask, if the time is over and this was not asked yet."""
        limit_s = self._limit_s
        if self._asked_of_s == limit_s or self._clock.monotonic() < self._began_at + limit_s:
            return
        body = read_word(self._store, self._key, self._say)
        extended_s = limit_s if body is None else self._read(body, limit_s)
        self._asked_of_s = limit_s
        if extended_s > limit_s:
            self._limit_s = extended_s
            self._say(f"the run was extended: it may train for {extended_s:.0f} s in all")

    def _read(self, body: bytes, limit_s: float) -> float:
        try:
            document: dict[str, Any] = json.loads(body)
            if (document["run_id"], int(document["attempt"])) == (self._job.run_id, self._job.attempt):
                return float(document["max_runtime_s"])
        except (ValueError, KeyError, TypeError) as error:
            self._say(f"what the controller says of the time limit cannot be read ({error!r})")
        return limit_s
