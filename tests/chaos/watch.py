"""What must hold after every step and at rest, whatever goes wrong."""

from typing import Any, Final

from runctl.model.attempt import FactKind
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.job import AgentJob, HandOver
from runctl.model.names import Function, State
from runctl.model.run import Run
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from tests.chaos.cloud import REAPER_EVERY_S, WATCH_EVERY_S, Cloud
from tests.chaos.functions import FUNCTION_TIMEOUT_S
from tests.chaos.interpreter import Execution
from tests.chaos.loop import Loop
from tests.chaos.machine import Machine
from tests.chaos.oracle import usd_per_hour, wrong_reasons
from tests.chaos.truth import Ledger, Violation

HAND_OVER_S: Final = 179.0
"""A warned machine may train on for its notice, and the next one trains a minute after that at the latest; the event's
time is whole seconds."""

STRAY_FOR_S: Final = 3_600.0 + 5 * REAPER_EVERY_S
"""The reaper's grace, two looks of it, and time for what goes wrong with them."""

NEW_S: Final = 150.0
"""A machine that came while its run was concluded is ended by whoever launched it."""

SAVE_MARGIN_S: Final = 90.0
"""What a stop may take beyond the time to save: the margin, and a schedule's precision."""

LOOK_EVERY_S: Final = 300.0
CLEAN_TRANSITIONS: Final = 25
TRANSITIONS_AN_ATTEMPT: Final = 15
TRANSITIONS_A_WAIT: Final = 4


class Watch:
    """Looks at a cloud and raises Violation when a promise is broken."""

    def __init__(self, cloud: Cloud, loop: Loop, ledger: Ledger) -> None:
        self._cloud = cloud
        self._loop = loop
        self._ledger = ledger
        self._ended: dict[RunId, Run] = {}
        self._saved_by: dict[RunId, AttemptNumber] = {}
        self._looked_at = 0.0
        cloud.runtime.checks = self.after_a_step
        cloud.on_training = self.training_began
        put_job = cloud.bucket.put_job

        put_go = cloud.bucket.put_go

        def put(instance_id: InstanceId, job: AgentJob, **where: Any) -> None:
            if not job.must_fence:
                self.offered(job)
            put_job(instance_id, job, **where)

        def go(instance_id: InstanceId, word: HandOver, **where: Any) -> None:
            self.offered(word)
            put_go(instance_id, word, **where)

        cloud.bucket.put_job, cloud.bucket.put_go = put, go  # type: ignore[method-assign]

    # -- after every step ----------------------------------------------------------------------------------------

    def after_a_step(self) -> None:
        """Look at every run: terminal states never change, and no open run has an old attempt without a reason."""
        for run_id, truth in self._ledger.runs.items():
            run = self._cloud.runs.peek(run_id)
            known = self._ended.get(run_id)
            if known is not None:
                if run is not known and _ending(run) != _ending(known):
                    raise Violation(f"{run_id} had ended as {known.status}, and was changed")
                continue
            self._of_open_run(run)
            if run.status.is_terminal:
                self._ended[run_id] = run
                truth.ended_at = self._loop.now
                self._ledger.tell(run_id, "ended as {} {}: {}", run.status, run.reason, run.message)
                self._of_ended_run(run_id)
        if self._loop.now - self._looked_at > LOOK_EVERY_S:
            self._looked_at = self._loop.now
            self._look_for_strays()

    def _of_open_run(self, run: Run) -> None:
        """See that nothing is told of a run that only an earlier attempt of it did."""
        if run.status is RunStatus.RUNNING:
            attempt = self._cloud.runs.peek_attempt(run.run_id, run.attempt)
            if FactKind.STARTED not in attempt.facts:
                raise Violation(f"{run.run_id} is RUNNING, and attempt {run.attempt} has not begun to train")
        newest = None if run.checkpoint is None else run.checkpoint.attempt
        if newest is not None and newest < self._saved_by.get(run.run_id, newest):
            raise Violation(f"{run.run_id} goes back to a checkpoint of attempt {newest}")
        if newest is not None:
            self._saved_by[run.run_id] = newest

    def _of_ended_run(self, run_id: RunId) -> None:
        """See that every machine of a run was told to end before anybody reads that the run has ended."""
        for machine in self._ledger.machines_of(run_id):
            is_new = machine.launched_at > self._loop.now - NEW_S
            left = self._cloud.machines.is_alive(machine.instance_id) and machine.ended_by_us_at is None
            if left and not is_new and machine.deleted_at is None and machine.powered_off_at is None:
                raise Violation(f"{run_id} has ended, and nobody has ended {machine.instance_id}")

    def _look_for_strays(self) -> None:
        """See that no machine is left for longer than the reaper may take to end it."""
        for instance_id, machine in self._ledger.machines.items():
            age = self._loop.now - machine.launched_at
            if age < STRAY_FOR_S or not self._cloud.machines.is_alive(instance_id):
                continue
            run = self._cloud.runs.peek(machine.run_id)
            owners = [a for a in self._cloud.runs.attempts(machine.run_id) if a.instance_id == instance_id]
            if not owners or (run.status.is_terminal and self._loop.now - (self._ended_at(run)) > STRAY_FOR_S):
                raise Violation(f"{instance_id} of {run.run_id} is {age:.0f} s old, and no run owns it")
        for instance_id, stray in self._ledger.strays.items():
            is_old = self._loop.now - stray.since > STRAY_FOR_S
            if is_old and stray.is_ours and self._cloud.machines.is_alive(instance_id):
                raise Violation(f"{instance_id} has been nobody's for {self._loop.now - stray.since:.0f} s")

    def _ended_at(self, run: Run) -> float:
        return self._ledger.runs[run.run_id].ended_at or self._loop.now

    def training_began(self, machine: Machine) -> None:
        """Look for another machine of the run that trains: the hand-over's is the only one there may be."""
        run_id = machine.truth.run_id
        for other in self._cloud.living.values():
            if other is machine or not other.trains or other.truth.run_id != run_id:
                continue
            warned = other.truth.warned_at
            is_over = warned is not None and self._loop.now >= warned + HAND_OVER_S
            if self._cloud.machines.is_alive(other.instance_id) and not is_over:
                raise Violation(f"{machine.instance_id} trains while {other.instance_id} does")
        run = self._cloud.runs.peek(run_id)
        if run.attempt != machine.truth.attempt and machine.truth.warned_at is None:
            raise Violation(f"attempt {machine.truth.attempt} begins to train, the run is at attempt {run.attempt}")

    def offered(self, job: AgentJob | HandOver) -> None:
        """See that a machine is offered the newest complete checkpoint of the run's earlier attempts."""
        saved = [m for m in self._cloud.bucket.saved if m.run_id == job.run_id and m.attempt < job.attempt]
        newest = max(saved, key=lambda m: (m.attempt, m.step or 0), default=None)
        offered = job.resume_points[0].step if job.resume_points else None
        if newest is None or newest.step == offered:
            return
        saved_at = self._cloud.saved_at[newest.run_id, newest.attempt, newest.step]
        if self._loop.now - saved_at > FUNCTION_TIMEOUT_S:  # else it may have come while the function ran
            raise Violation(f"{job.run_id} attempt {job.attempt} is offered {offered}, the newest is {newest.step}")

    # -- at rest -------------------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """Look at everything when nothing is under way any more."""
        for run_id, truth in self._ledger.runs.items():
            run = self._cloud.runs.peek(run_id)
            execution = self._cloud.executions.known.get(run_id)
            if not run.status.is_terminal:
                raise Violation(f"{run_id} has not ended: {run.status}, {run.message}")
            if execution is not None and execution.is_running:
                raise Violation(f"{run_id} has ended and its execution is in {execution.state}")
            concluded = [e for e in self._cloud.runs.events(run_id) if e.kind is TimelineKind.CONCLUDED]
            if len(concluded) != 1:
                raise Violation(f"{run_id} was concluded {len(concluded)} times")
            attempts = self._cloud.runs.attempts(run_id)
            machines = self._ledger.machines_of(run_id)
            for wrong in wrong_reasons(run, attempts, truth, machines, self._loop.now):
                raise Violation(f"{run_id}: {wrong}")
            unsettled = [a.number for a in attempts if a.instance_id is not None and a.settlement is None]
            if unsettled:
                raise Violation(f"{run_id}: what the machine of attempt {unsettled[0]} cost was never settled")
            self._of_money(run)
            if execution is not None:
                self._of_execution(run, execution, len(machines))
        settled = [(each.run_id, each.attempt) for each in self._cloud.runs.ledger]
        if len(settled) != len(set(settled)):
            raise Violation("a machine was paid for twice")
        self._look_for_strays()
        alive = [each for each in self._cloud.machines.alive if each not in self._ledger.strays]
        if alive:
            raise Violation(f"machines are left: {', '.join(alive)}")

    def _of_money(self, run: Run) -> None:
        """See that no run has spent more than it may: nothing at the steady prices of a story where nothing goes wrong,
        else what its machines cost until somebody looks again though one look is lost, and in the time to save. What is
        kept back for saving is a fifth of the limit at most: of a very small one saving may take more."""
        limit = run.spec.max_cost_usd
        if limit is None:
            return
        late_s = 0.0
        if self._cloud.is_disturbed:
            late_s = 2 * WATCH_EVERY_S + 3 * REAPER_EVERY_S + run.spec.save_limit_s
        saving = (run.spec.save_limit_s + SAVE_MARGIN_S) * usd_per_hour(run) / 3_600 - float(limit) / 5
        allowed = float(limit) + max(0.0, saving) + 2 * late_s * usd_per_hour(run) / 3_600
        if float(run.settled_usd) > allowed:
            raise Violation(f"{run.run_id} has cost {run.settled_usd:.4f}, may cost {limit} and at most {allowed:.4f}")

    def _of_execution(self, run: Run, execution: Execution, machines: int) -> None:
        entered = execution.entered
        waits = entered.count(State.WAIT_FOR_CAPACITY)
        bound = CLEAN_TRANSITIONS + TRANSITIONS_AN_ATTEMPT * max(0, machines - 1) + TRANSITIONS_A_WAIT * waits
        if len(entered) > bound:
            raise Violation(f"{run.run_id} took {len(entered)} states for {machines} machines and {waits} waits")
        longest = 12 + run.spec.capacity_timeout_s / 900 * 2 + 3 * machines
        if waits > longest * max(1, machines):
            raise Violation(f"{run.run_id} waited {waits} times for capacity")
        if any(function == Function.CONCLUDE_RUN for _, function, _ in self._ledger.runs[run.run_id].broken_steps):
            return  # the run was concluded, and nobody was left to say so
        green = execution.status == "SUCCEEDED"
        if green is not (run.status is RunStatus.SUCCEEDED) and execution.status in ("SUCCEEDED", "FAILED"):
            raise Violation(f"{run.run_id} is {run.status} and its execution {execution.status}")


def _ending(run: Run) -> tuple[object, ...]:
    """What must never change once a run has ended; what its machines cost may be known later."""
    return run.status, run.reason, run.message, run.ended_at, run.attempt, run.stop_request, run.checkpoint
