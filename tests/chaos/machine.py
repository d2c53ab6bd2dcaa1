"""A machine and its agent in virtual time: what runctl/agent does, as far as the controller can tell.

The decisions are the agent's own (`runctl.agent.ending`). Its training counts one step a second.
"""

import random
from typing import Any, Final

from runctl.agent.ending import Leaving, Notice, Why, why_it_ended
from runctl.agent.supervisor import POWER_OFF_DELAY_S, POWER_OFF_GRACE_S
from runctl.agent.training_process import Exit
from runctl.model import timing
from runctl.model.agent_event import AgentEventKind, EndedWhy, TrainingEnded, sign
from runctl.model.base import iso
from runctl.model.checkpoint import CheckpointFile, Manifest
from runctl.model.job import AgentJob, ResumePoint
from tests.chaos.faults import Weather
from tests.chaos.loop import Loop
from tests.chaos.script import Around, Script
from tests.chaos.truth import Ledger, MachineTruth

REPORT_LIMIT_S: Final = 600.0
SHA256: Final = "0f" * 32
FENCE_LOOK_S: Final = 2.0
FENCE_LOOKS_A_WORD: Final = 5
READY_EVERY_S: Final = 10.0
READY_FOR_S: Final = 600.0


class Machine:
    """One machine from its launch to its end."""

    def __init__(
        self,
        truth: MachineTruth,
        script: Script,
        around: Around,
        *,
        loop: Loop,
        weather: Weather,
        ledger: Ledger,
    ) -> None:
        self.truth = truth
        self.instance_id = truth.instance_id
        self.script = script
        self.trains = False
        self.is_dead = False
        self.ends_at: float | None = None
        """When EC2 said that it would take the machine back."""
        self._around = around
        self._loop = loop
        self._chance: random.Random = weather.chance
        self._ledger = ledger
        self._skew_s = self._chance.uniform(-900, 900) if weather.strikes("wrong_clock", loop.now) else 0.0
        self._silent_until = 0.0
        self._job: AgentJob | None = None
        self._token = ""
        self._is_token_dead = False
        self._contact_at = 0.0
        self._requests: set[str] = set()
        self._notice: Notice | None = None
        self._leaving: Leaving | None = None
        self._is_going_down = False
        self._is_over = False
        self._base = 0
        self._began_at = 0.0
        self._newest = 0

    # -- what the world does to it -------------------------------------------------------------------------------

    @property
    def is_silent(self) -> bool:
        """Whether nothing gets in or out."""
        return self._loop.now < self._silent_until

    def lose_network(self, seconds: float) -> None:
        """Let nothing get in or out for a while."""
        if self.truth.silent_from is None:
            self.truth.silent_from = self._loop.now
        self._silent_until = max(self._silent_until, self._loop.now + seconds)
        self._tell("loses its network for {:.0f} s", seconds)

    def announce(self, until: float) -> None:
        """Send `Machine Ready` until the run's command comes."""
        if self.is_dead or self._job is not None or self._loop.now > until:
            return
        if not self.is_silent:
            if self.truth.announced_at is None:
                self.truth.announced_at = self._loop.now
            self._around.put_event(AgentEventKind.MACHINE_READY, self._detail(AgentEventKind.MACHINE_READY, {}))
        self._later(READY_EVERY_S, lambda: self.announce(until))

    def notice(self, ends_at: float) -> None:
        """Hear of EC2's warning: from the metadata, or from the controller."""
        if self._notice is not None or self.is_dead:
            return
        self._tell("hears that it is taken back in {:.0f} s", ends_at - self._loop.now)
        self._notice = Notice(self._loop.now, ends_at)
        if self._job is None or self._is_over:
            return
        if not self.script.hears_usr1 or not self.trains:
            self._leave(Why.NOTICE)
            return
        self._save(self._loop.now)
        reserve_s = timing.UPLOAD_RESERVE.total_seconds()
        self._later(ends_at - reserve_s - self._loop.now, self._reserve_begins)
        self._look_for_replacement()

    def command(self, words: list[str]) -> bool:
        """Obey one of the controller's commands; False when it fails."""
        verb = words[0]
        self._contact_at = self._loop.now
        if verb == "start":
            return self._start()
        if verb == "notice":
            self.notice(self._loop.now + 120 if self.ends_at is None else self.ends_at)
        elif verb == "stop":
            self._requests.add("now" if "--now" in words else "stop")
            if self._job is not None and not self._is_over:
                self._obey_stop()
        return True

    def shut_down(self) -> None:
        """EC2, or somebody, ends the machine: there are seconds left."""
        if self.is_dead:
            return
        self._is_going_down = True
        if self._chance.random() < 0.5:
            self.die()
            return
        self._later(self._chance.uniform(5, 20), self.die)
        if self._job is not None and not self._is_over:
            self._leave(Why.DEAD_MAN if self._notice is None else Why.NOTICE)

    def die(self) -> None:
        """Stop existing, in the middle of whatever it was doing."""
        if self.is_dead:
            return
        self.is_dead = True
        self.trains = False
        self.truth.gone_at = self._loop.now

    # -- the agent -----------------------------------------------------------------------------------------------

    def _start(self) -> bool:
        if self._job is not None:
            return True
        job = self._around.job(self.instance_id)
        if job is None:
            return False
        self._job = job
        self._token = job.task_token
        self.truth.commanded_at = self._loop.now
        self._beat()
        if self._requests:
            self._obey_stop()
        elif self._notice is not None:
            self._leave(Why.NOTICE)
        else:
            self._later(self.script.prepares_for_s, lambda: self._prepared(job))
        return True

    def _prepared(self, job: AgentJob) -> None:
        if self._is_over or self._leaving is not None:
            return
        if self.script.setup_fails:
            self._end(Why.SETUP_FAILED, Exit(), started=False)
        elif job.must_fence:
            self._wait_at_the_fence({"waiting_since": self._iso()}, 0)
        else:
            self._begin(job.resume_points, job.max_runtime_s)

    def _wait_at_the_fence(self, data: dict[str, Any], looks: int) -> None:
        """Say that it waits, and look for the word that no earlier machine trains."""
        if self._is_over or self._leaving is not None:
            return
        go = None if self.is_silent else self._around.go(self.instance_id)
        if go is not None and go.attempt == self.truth.attempt:
            self._begin(go.resume_points, go.max_runtime_s)
            return
        if looks % FENCE_LOOKS_A_WORD == 0:
            self._send(AgentEventKind.WAITING_FOR_HAND_OVER, data)
        self._later(FENCE_LOOK_S, lambda: self._wait_at_the_fence(data, looks + 1))

    def _look_for_replacement(self) -> None:
        """On a machine that is being taken back: leave when another one waits for it."""
        if not self.trains or self._leaving is not None:
            return
        if not self.is_silent and self._around.replacement(self.instance_id) is not None:
            self._tell("leaves, for another machine is ready")
            self._leave(Why.NOTICE)
        else:
            self._later(FENCE_LOOK_S, self._look_for_replacement)

    def _beat(self) -> None:
        """A heartbeat; a token that is dead is looked up anew the next time."""
        job = self._job
        if job is None or self.is_dead or self._is_over:
            return
        if not self.is_silent:
            if self._is_token_dead:
                newest = self._around.job(self.instance_id)
                if newest is not None and newest.task_token != self._token:
                    self._token, self._is_token_dead = newest.task_token, False
            if not self._is_token_dead:
                self._is_token_dead = not self._around.heartbeat(self._token)
                if not self._is_token_dead:
                    self._contact_at = self._loop.now
        if self._loop.now - self._contact_at >= job.dead_man_s and self._leaving is None:
            self._tell("has not heard of the controller for {} s", job.dead_man_s)
            self._leave(Why.DEAD_MAN)
        self._later(job.heartbeat_interval_s, self._beat)

    def _begin(self, points: tuple[ResumePoint, ...], max_runtime_s: int) -> None:
        job = self._job
        if job is None:
            return
        point = points[0] if points else None
        self._base = self._newest = 0 if point is None or point.step is None else point.step
        self._began_at = self._loop.now
        self.trains = True
        self.truth.started_at = self._loop.now
        self._tell("trains from step {}", self._base)
        self._around.training_began(self)
        started = {
            "started_at": self._iso(),
            "resumed_from": None if point is None else point.manifest_key,
            "resumed_from_step": None if point is None else point.step,
            "prepared_s": self.script.prepares_for_s,
            "log_stream": job.log_stream,
        }
        self._report_start(self._detail(AgentEventKind.TRAINING_STARTED, started))
        self._later(float(max_runtime_s), lambda: self._leave(Why.DEADLINE))
        self._later(self.script.save_every_s, self._save_again)
        self._plan_the_end()

    def _report_start(self, detail: dict[str, Any]) -> None:
        """Tell that the training began, until it got there."""
        if self.is_silent:
            self._later(60.0, lambda: self._report_start(detail))
        else:
            self._around.put_event(AgentEventKind.TRAINING_STARTED, detail)

    def _plan_the_end(self) -> None:
        script = self.script
        if script.hangs:
            return
        ends = [(max(0, script.work_s - self._base), self._finish)]
        if script.fails_at is not None and not (script.fails_once and self._base >= script.fails_at):
            ends.append((max(1, script.fails_at - self._base), self._fail))
        if script.leaves_every_s is not None:
            ends.append((script.leaves_every_s, self._leave_by_itself))
        after, act = min(ends, key=lambda each: each[0])
        self._later(after, act)

    def _finish(self) -> None:
        if self.trains:
            self._keep(self.script.work_s)
            self._end(Why.EXITED, Exit(code=0))

    def _fail(self) -> None:
        if self.trains:
            code = 137 if self.script.runs_out_of_memory else self.script.fails_with
            self._end(Why.EXITED, Exit(code=code), out_of_memory=self.script.runs_out_of_memory)

    def _leave_by_itself(self) -> None:
        if self.trains:
            self.truth.left_by_itself = self._leaving is None
            self._keep(self._step())
            self._end(Why.EXITED, Exit(code=75))

    def _reserve_begins(self) -> None:
        if self.trains:
            self._leave(Why.NOTICE)

    def _obey_stop(self) -> None:
        if "now" in self._requests:
            self._leaving = self._leaving or Leaving(Why.STOP, self._loop.now)
            self._end(Why.STOP, Exit(signal=9) if self.trains else Exit(), started=self.trains)
        else:
            self._leave(Why.STOP)

    def _leave(self, why: Why) -> None:
        """SIGTERM: it saves and leaves, or just ends."""
        if self._is_over or self._leaving is not None or self._job is None or self.is_dead:
            return
        self._leaving = Leaving(why, self._loop.now)
        if not self.trains:
            self._end(why, Exit(), started=False)
        elif self.script.hears_term:
            self._later(self.script.saves_for_s, self._saved_and_left)
        else:
            self._end(why, Exit(signal=15))

    def _saved_and_left(self) -> None:
        if self.trains:
            self._keep(self._step())
            self._end(Why.EXITED, Exit(code=75))

    def _end(self, why: Why, exited: Exit, *, started: bool = True, out_of_memory: bool = False) -> None:
        """The training has ended: report it, and power off some time later."""
        if self._is_over:
            return
        self._is_over, self.trains = True, False
        if started:
            why = why_it_ended(
                exited,
                leaving=self._leaving,
                is_warned=self._notice is not None,
                is_stopped=bool(self._requests),
                is_machine_ending=self._is_going_down,
                out_of_memory=out_of_memory,
                lacks_checkpoint=False,
            )
        truth = self.truth
        truth.ended_at, truth.why, truth.exit_code = self._loop.now, why.value, exited.code
        self._tell("ends: {}, exit code {}", why.value, exited.code)
        ended = TrainingEnded(
            why=EndedWhy(why.value),
            exit_code=exited.code,
            signal=exited.signal,
            started=started,
            ended_at=self._loop.time(self._skew_s),
        )
        detail = self._detail(AgentEventKind.TRAINING_ENDED, ended.model_dump(mode="json"))
        self._later(self._chance.uniform(0.1, 3), lambda: self._report(detail, self._loop.now + REPORT_LIMIT_S))
        rest_s = POWER_OFF_GRACE_S
        if self._notice is not None:
            rest_s = max(0.0, self._notice.ends_at + POWER_OFF_DELAY_S - self._loop.now)
        elif why is Why.DEAD_MAN:
            rest_s = 4.0
        self._later(rest_s, self._power_off)

    def _report(self, detail: dict[str, Any], limit: float) -> None:
        if not self.is_silent:
            self.truth.reported_at = self._loop.now
            self._around.put_marker(self.instance_id, detail)
            self._around.put_event(AgentEventKind.TRAINING_ENDED, detail)
        elif self._loop.now < limit:
            self._later(30.0, lambda: self._report(detail, limit))

    def _power_off(self) -> None:
        if not self._is_going_down:
            self.truth.powered_off_at = self._loop.now
            self._tell("powers off")
            self._around.power_off(self.instance_id)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _step(self) -> int:
        return min(self.script.work_s, self._base + int(self._loop.now - self._began_at))

    def _save_again(self) -> None:
        if self.trains:
            self._save(self._loop.now)
            self._later(self.script.save_every_s, self._save_again)

    def _save(self, _at: float) -> None:
        step = self._step()
        self._later(self.script.uploads_for_s, lambda: self._keep(step))

    def _keep(self, step: int) -> None:
        """A checkpoint is complete: its manifest is written, and told."""
        job = self._job
        if job is None or step <= self._newest or self.is_silent:
            return
        self._newest = step
        name = f"step-{step}.npz"
        key = f"{job.prefix}checkpoints/{name}/"
        saved_at = self._loop.time(self._skew_s)
        manifest = Manifest(
            run_id=job.run_id,
            attempt=job.attempt,
            name=name,
            step=step,
            saved_at=saved_at,
            files=(CheckpointFile(path=name, key=f"{key}files/{name}", bytes=64, sha256=SHA256),),
        )
        self._around.put_manifest(manifest)
        data = {
            "name": name,
            "step": step,
            "manifest_key": f"{key}manifest.json",
            "bytes": 64,
            "files": 1,
            "saved_at": iso(saved_at),
        }
        self._send(AgentEventKind.CHECKPOINT_SAVED, data)

    # -- talking -------------------------------------------------------------------------------------------------

    def _send(self, kind: AgentEventKind, data: dict[str, Any]) -> None:
        if not self.is_silent:
            self._around.put_event(kind, self._detail(kind, data))

    def _detail(self, kind: AgentEventKind, data: dict[str, Any]) -> dict[str, Any]:
        detail: dict[str, Any] = {
            "version": 1,
            "run_id": self.truth.run_id,
            "attempt": self.truth.attempt,
            "instance_id": self.instance_id,
            "kind": kind.value,
            "time": self._iso(),
            "data": data,
        }
        return detail if self._job is None else {**detail, "signature": sign(detail, self._job.secret)}

    def _iso(self) -> str:
        return iso(self._loop.time(self._skew_s))

    def _later(self, seconds: float, act: Any) -> None:
        """Do something later, unless the machine is dead by then."""
        self._loop.after(seconds, lambda: None if self.is_dead else act())

    def _tell(self, text: str, *parts: Any) -> None:
        self._ledger.tell(self.instance_id, text, *parts)
