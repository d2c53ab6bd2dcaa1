"""Gathers what the training may have to be told about (requests, notices, silence, time) and what it was told."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from signal import Signals

from runctl.agent.clock import Clock
from runctl.agent.ending import REPORT_S, Act, Alarm, Leaving, Notice, Order, Situation, Why, decide
from runctl.agent.heartbeat import Heartbeat
from runctl.agent.job import Job
from runctl.agent.limits import Deadline
from runctl.agent.note import Note
from runctl.agent.notice import NoticeWatch
from runctl.agent.request_files import Request, found
from runctl.agent.run_log import Say
from runctl.agent.training_process import Training

UNHURRIED_S = 3_600.0
"""For saving what a training left that ended by itself: a large upload, or one that waits for a bucket to be reached.
Longer than what a network may be gone for; after that the run ends with what there is, rather than cost for ever."""

STOP_ON_NOTICE = "stop"
"""`runctl.model.run.OnNotice.STOP`."""


class Lookout:
    """Used by the supervisor's own thread only.

    What the training was told stands in a note: a supervisor that was started again neither says it twice nor begins to
    count the time to save anew.
    """

    def __init__(
        self,
        job: Job,
        requests: Path,
        heartbeat: Heartbeat,
        notices: NoticeWatch,
        deadline: Deadline,
        is_going_down: Callable[[], bool],
        clock: Clock,
        say: Say,
        note: Note | None = None,
    ) -> None:
        self._job = job
        self._requests = requests
        self._heartbeat = heartbeat
        self._notices = notices
        self._is_going_down = is_going_down
        self._clock = clock
        self._say = say
        self._seen: frozenset[Request] = frozenset()
        self._asked: frozenset[Alarm] = frozenset()
        self._deadline = deadline
        self.leaving: Leaving | None = None
        self._asked_at: datetime | None = None
        self._save_s = 0.0
        self._is_leaving_told = False
        self._note = note
        self._noted: dict[str, object] = {}
        if note is not None and (noted := note.read()) is not None:
            self._asked = frozenset(Alarm[name] for name in noted["asked"])
            if noted["leaving"] is not None:
                self.leaving = Leaving(Why(noted["leaving"]["why"]), noted["leaving"]["at"])
            if noted["notice"] is not None:
                notices.notice = Notice(**noted["notice"])
            notices.rebalance = noted["rebalance"]
            self._is_leaving_told = noted["is_leaving_told"]

    @property
    def is_stopped(self) -> bool:
        """Whether the controller asked for the end."""
        return bool({Request.STOP, Request.STOP_NOW} & self._seen)

    @property
    def is_stopped_now(self) -> bool:
        """Whether the controller asked for the end without saving."""
        return Request.STOP_NOW in self._seen

    @property
    def is_warned(self) -> bool:
        """Whether EC2 has announced the machine's end."""
        return self._notices.notice is not None

    @property
    def is_machine_ending(self) -> bool:
        """Whether the machine itself is being shut down, by whomever."""
        return self._is_going_down()

    def training_began(self, at: float, max_runtime_s: float) -> None:
        """From then on `max_runtime` is counted."""
        self._deadline.training_began(at, max_runtime_s)

    def look(self, *, hears_usr1: bool, upload_s: float, saved_at: datetime | None = None) -> Order:
        """Look around and decide; `saved_at` is when the newest checkpoint was finished."""
        if self._asked_at is not None and saved_at is not None and saved_at > self._asked_at:
            self._save_s = max(self._save_s, (saved_at - self._asked_at).total_seconds())
            self._asked_at = None
        requests = found(self._requests)
        if news := requests - self._seen:
            self._heartbeat.note_contact()
            if Request.NOTICE in news:
                self._notices.told()
            self._seen = requests
        self._remember()
        return decide(
            Situation(
                now=self._clock.monotonic(),
                deadline_at=self._deadline.at,
                silent_since=self._heartbeat.last_contact_at,
                dead_man_s=self._job.dead_man_s,
                save_limit_s=self._job.save_limit_s,
                upload_s=upload_s,
                save_s=self._save_s,
                leaves_at_once=self._job.on_notice == STOP_ON_NOTICE,
                hears_usr1=hears_usr1,
                stop=self.is_stopped,
                stop_now=self.is_stopped_now,
                machine_is_ending=self._is_going_down(),
                notice=self._notices.notice,
                rebalance=self._notices.rebalance,
                is_replacement_ready=self._notices.is_replacement_ready,
                asked=self._asked,
                leaving=self.leaving,
            )
        )

    def obey(self, order: Order, training: Training) -> None:
        """Tell the training what was decided."""
        match order.act:
            case Act.NOTHING:
                pass
            case Act.SAVE:
                if order.alarm is not None:
                    self._asked |= {order.alarm}
                    self._remember()
                self._asked_at = self._clock.now()
                self._say("asking the training to save (SIGUSR1)")
                training.send(Signals.SIGUSR1)
            case Act.LEAVE:
                self._leave(order)
                self._tell_to_leave(training)
            case Act.KILL:
                self._leave(order)
                self._say("ending the training (SIGKILL)")
                training.kill()

    def take_hold(self, training: Training, max_runtime_s: float) -> None:
        """Go on where the supervisor before was: it may have died before it told what it had decided."""
        self.training_began(training.begun_at, max_runtime_s)
        if self.leaving is not None and not self._is_leaving_told:
            self._tell_to_leave(training)

    def _tell_to_leave(self, training: Training) -> None:
        assert self.leaving is not None
        self._say(f"asking the training to save and leave (SIGTERM): {self.leaving.why}")
        training.send(Signals.SIGTERM)
        self._is_leaving_told = True
        self._remember()

    def note(self, order: Order) -> None:
        """There is no training any more to be told; but what is saved of it may have to be hurried."""
        if order.act in (Act.LEAVE, Act.KILL):
            self._leave(order)

    def time_to_save_s(self, ended_at: float) -> float:
        """How long saving may take from now on, when the training ended at `ended_at`."""
        now = self._clock.monotonic()
        left_s = ended_at + max(UNHURRIED_S, self._job.save_limit_s) - now
        if self.leaving is not None:
            left_s = self.leaving.at + self._job.save_limit_s - now
        notice = self._notices.notice
        if notice is not None:
            # EC2 ends the machine when it does, and until then there is nothing better to do than to save.
            left_s = min(left_s, max(notice.ends_at - now, REPORT_S))
        return max(0.0, left_s)

    def explanation(self, why: Why) -> str:
        """Say in a sentence what the exit code does not; empty when there is nothing to say."""
        if why is not Why.DEAD_MAN:
            return ""
        if self._is_going_down():
            return "The machine was being shut down."
        return f"The controller was silent for {self._job.dead_man_s:.0f} s."

    def _leave(self, order: Order) -> None:
        if self.leaving is None:
            self.leaving = Leaving(order.why or Why.STOP, self._clock.monotonic())
            self._remember()

    def _remember(self) -> None:
        notice = self._notices.notice
        seen: dict[str, object] = {
            "asked": sorted(alarm.name for alarm in self._asked),
            "leaving": None if self.leaving is None else asdict(self.leaving),
            "notice": None if notice is None else asdict(notice),
            "rebalance": self._notices.rebalance,
            "is_leaving_told": self._is_leaving_told,
        }
        if self._note is not None and seen != self._noted:
            self._noted = seen
            self._note.write(seen)
