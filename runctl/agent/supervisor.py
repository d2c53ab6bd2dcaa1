"""Supervises one attempt: prepares and starts the training, watches over it, saves what it made, reports its end."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from signal import Signals

from runctl.agent import out_of_memory
from runctl.agent.clock import iso
from runctl.agent.course import FAULTS_FORGIVEN, Course, StartAgainError
from runctl.agent.disk import LOOK_S as DISK_LOOK_S
from runctl.agent.ending import Act, Leaving, Order, Why, why_it_ended
from runctl.agent.events import EventKind
from runctl.agent.fence import LOOK_S as FENCE_LOOK_S
from runctl.agent.job import Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.leftovers import end_leftovers
from runctl.agent.metrics import INTERVAL_S as METRICS_INTERVAL_S
from runctl.agent.note import Note
from runctl.agent.notice import POLL_S
from runctl.agent.output import save_output
from runctl.agent.parts import Parts
from runctl.agent.preparation import Prepared, prepare
from runctl.agent.report import Ended, Reporter
from runctl.agent.setup_error import SetupCancelledError, SetupError
from runctl.agent.training_process import Exit, Training
from runctl.agent.worker import Worker
from runctl.agent.world import World

LOOK_S = 0.1
CHECKPOINT_LOOK_S = 0.5
LOG_INTERVAL_S = 1.0
HEARTBEAT_LOOK_S = 0.5
DEADLINE_LOOK_S = 0.2
POWER_OFF_DELAY_S = 60.0
"""After EC2's announced time: `runctl.model.timing.POWER_OFF_DELAY`."""

POWER_OFF_GRACE_S = 600.0
"""After any other reported end: the controller ends the machine in seconds; this is for when it does not."""

FINISH_PAUSE_S = 1.0
WORKER_LIMIT_S = 5.0

PROBLEM_CHARACTERS = 160
"""What is shown of a problem that is not the training's own."""

NO_CHECKPOINT = "The training left no checkpoint: had its machine been taken away, all of it would have been lost."

NOT_BEGUN = "Asked to end before the training began."
PYTHON_INSTALLED = "the image has no Python that will do; installing one took"
REBOOTED = "The machine was restarted while the attempt was on it."
UNKNOWN_END = "The process that kept the training was killed, and with it what is known of the training's end."


class Supervisor:
    """One attempt on this machine, from its job to the machine's end.

    It may be killed at any moment and started again: the training goes on meanwhile, and what is started again takes
    hold of it.
    """

    def __init__(self, job: Job, folder: AttemptFolder, tools: Path, world: World) -> None:
        self._job = job
        self._folder = folder
        self._tools = tools
        self._world = world
        self._parts = parts = Parts(job, folder, tools, world)
        self._log = parts.log
        self._events = parts.events
        self._store = parts.store
        self._shipper = parts.shipper
        self._heartbeat = parts.heartbeat
        self._notices = parts.notices
        self._lookout = parts.lookout
        self._telling = parts.telling
        self._uploader = parts.uploader
        self._course_note = Note(folder.note("course"), self._log.say)
        course = Course.read(self._course_note)
        self._is_first = course is None
        self._course = course or Course(world.boot_id())
        self._course.keep(self._course_note)
        self._cancelled = threading.Event()
        self._workers: tuple[Worker, ...] = ()
        self._tell_soon: Callable[[], None] = lambda: None
        self._start_lock = threading.Lock()
        self._training: Training | None = None
        self._left: Leaving | None = None

    def run(self) -> None:
        """Run the attempt; returns when the machine was told to power off, or is kept.

        Raises StartAgainError when the agent failed and had better be started again.
        """
        try:
            if self._course.power_off_at is None:
                try:
                    ended = self._attempt()
                except Exception as error:
                    # The agent's one boundary: whatever happens, the training is not the one to suffer, and the
                    # controller is told.
                    if self._is_forgiven(error):
                        raise StartAgainError from error
                    ended = self._fault(error)
                self._tell(ended)
            if not self._course.is_output_saved:
                self._save_output()
            self._world.rest(self._left_until_power_off_s())
        except StartAgainError:
            raise
        except BaseException:
            self._world.power.off()
            raise
        if not self._course.is_machine_kept:
            self._world.power.off()

    @property
    def is_machine_kept(self) -> bool:
        """Whether the machine stays on though nothing is left to do for the attempt."""
        return self._course.is_machine_kept

    # -- the course of an attempt ------------------------------------------------------------------------------------

    def _attempt(self) -> Ended:
        with self._working():
            if self._course.boot_id != self._world.boot_id():
                return self._rebooted()
            training = self._training_now()
            return training if isinstance(training, Ended) else self._judge(self._watch(training))

    def _training_now(self) -> Training | Ended:
        """Take hold of the training that runs, or start it."""
        training = None if self._is_first else self._world.trainings.find(self._folder)
        if training is not None:
            self._log.say("the agent was started again; the training went on meanwhile")
            self._training = training
            self._parts.take_hold(training.begun_at)
            self._lookout.take_hold(training, self._course.max_runtime_s)
            self._tell_soon()
            return training
        if not self._is_first:
            end_leftovers(self._folder)
        if self._world.python_install_s:
            self._log.say(f"{PYTHON_INSTALLED} {self._world.python_install_s:.1f} s")
        begun_at = self._world.clock.monotonic()
        prepared = self._prepare()
        if isinstance(prepared, Ended):
            return prepared
        return self._start(prepared, self._world.clock.monotonic() - begun_at)

    def _rebooted(self) -> Ended:
        """The machine was restarted: what was uploaded counts, for what lies here may be cut off anywhere."""
        self._log.say(REBOOTED)
        self._course.is_output_saved = True
        started = self._world.trainings.find(self._folder) is not None
        return Ended(Why.DEAD_MAN, message=REBOOTED, started=started, last_lines=self._log.last_lines())

    @contextmanager
    def _working(self) -> Generator[None]:
        parts = self._parts
        with (
            Worker("heartbeat", self._keep_in_touch, HEARTBEAT_LOOK_S, self._log.say) as heartbeat,
            Worker("log", self._shipper.step, LOG_INTERVAL_S, self._log.say) as log,
            Worker("notice", self._notices.step, POLL_S, self._log.say) as notice,
            Worker("disk", parts.room.step, DISK_LOOK_S, self._log.say) as disk,
            Worker("replacement", parts.replacement.step, FENCE_LOOK_S, self._log.say) as replacement,
            Worker("deadline", parts.deadline.step, DEADLINE_LOOK_S, self._log.say) as deadline,
            Worker("metrics", parts.observing.metrics.step, METRICS_INTERVAL_S, self._log.say) as metrics,
        ):
            self._workers = (heartbeat, log, notice, disk, replacement, deadline, metrics)
            self._tell_soon = heartbeat.nudge
            yield
            for worker in self._workers:
                worker.stop(WORKER_LIMIT_S)
            parts.room.let_go()

    def _prepare(self) -> Prepared | Ended:
        outcome: Future[Prepared] = Future()
        threading.Thread(target=self._prepare_into, args=(outcome,), name="preparation", daemon=True).start()
        while not wait_for_futures([outcome], LOOK_S).done:
            order = self._look(hears_usr1=False)
            if order.act in (Act.LEAVE, Act.KILL):
                self._cancelled.set()
                return Ended(order.why or Why.STOP, message=NOT_BEGUN, started=False)
        try:
            return outcome.result()
        except SetupError as error:
            self._log.say(str(error))
            return Ended(Why.SETUP_FAILED, message=str(error), started=False, last_lines=self._log.last_lines())

    def _prepare_into(self, outcome: Future[Prepared]) -> None:
        world, is_cancelled = self._world, self._cancelled.is_set
        try:
            outcome.set_result(
                prepare(
                    self._job,
                    self._folder,
                    self._tools,
                    world.store,
                    world.links,
                    world.secrets,
                    self._log,
                    is_cancelled,
                    lambda: self._parts.fence.passed(is_cancelled),
                    world.data,
                    world.registry,
                    world.instance_store,
                )
            )
        except SetupCancelledError:
            pass  # nobody waits for the outcome any more
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits for it
            outcome.set_exception(error)

    def _start(self, prepared: Prepared, prepared_s: float) -> Training | Ended:
        point = prepared.resumed.point if prepared.resumed is not None else None
        course = self._course
        course.memory_kills_before = self._world.memory_kills()
        course.is_resumed = point is not None
        course.max_runtime_s = prepared.max_runtime_s
        course.start_report = {
            "started_at": iso(self._world.clock.now()),
            "resumed_from": point.manifest_key if point else None,
            "resumed_from_step": point.step if point else None,
            "prepared_s": prepared_s,
            "code_files": prepared.code_files,
            "log_stream": self._job.log_stream,
            "warnings": list(prepared.resumed.passed_over if prepared.resumed is not None else ()),
        }
        course.keep(self._course_note)  # before the start: whoever takes hold of the training finds it
        try:
            training = self._world.trainings.start(prepared, self._folder, self._log)
        except OSError as error:
            course.start_report = None
            message = f"{self._job.label} could not be started: {error}"
            self._log.say(message)
            return Ended(Why.SETUP_FAILED, message=message, started=False)
        self._training = training
        self._parts.training_began(training.begun_at, prepared.installed)
        self._lookout.training_began(training.begun_at, prepared.max_runtime_s)
        self._tell_soon()
        return training

    def _watch(self, training: Training) -> Exit:
        """Watch over the training until it has ended and what it left is saved."""
        with Worker("checkpoints", self._uploader.step, CHECKPOINT_LOOK_S, self._log.say) as uploads:
            self._workers = (*self._workers, uploads)
            while (ended := training.poll()) is None:
                self._lookout.obey(self._look(hears_usr1=training.hears(Signals.SIGUSR1)), training)
                self._world.wait(LOOK_S)
            self._parts.packages.end()
            training.kill()  # what it left behind
            self._show(ended)
            self._report_start()  # it may have been shorter than a look
            self._left = self._lookout.leaving  # what comes from now on is not why it ended
            self._finish(uploads)
        if self._lookout.is_stopped_now:
            self._course.is_output_saved = True  # it is not wanted
            return ended
        self._telling.flush()
        if self._notices.notice is None:  # else the report comes first
            self._save_output()
        return ended

    def _finish(self, uploads: Worker) -> None:
        """Upload what the training left; in a hurry only when there is one."""
        ended_at = self._world.clock.monotonic()
        while not uploads.stop(LOOK_S):
            if self._is_time_over(ended_at):
                self._telling.warn("A checkpoint was still being uploaded when the time for it was over.")
                return
        while not self._uploader.finish():
            if self._is_time_over(ended_at):
                self._telling.warn("A checkpoint could not be uploaded in the time that there was.")
                return
            self._world.wait(FINISH_PAUSE_S)

    def _is_time_over(self, ended_at: float) -> bool:
        self._lookout.note(self._look(hears_usr1=False))
        return self._lookout.is_stopped_now or self._lookout.time_to_save_s(ended_at) <= 0

    def _show(self, ended: Exit) -> None:
        if self._course.is_end_shown:
            return
        shown = f"exit code {ended.code}" if ended.code is not None else f"signal {ended.signal}"
        self._log.say(f"the training ended with {shown}" if ended.is_known else UNKNOWN_END)
        self._course.is_end_shown = True
        self._course.keep(self._course_note)

    def _look(self, *, hears_usr1: bool) -> Order:
        for worker in self._workers:
            worker.check()
        upload_s = self._uploader.times.expected_s(self._world.clock.monotonic())
        return self._lookout.look(hears_usr1=hears_usr1, upload_s=upload_s, saved_at=self._uploader.newest_saved_at)

    # -- what goes on beside the training, each in a thread of its own -------------------------------------------------

    def _keep_in_touch(self) -> None:
        self._heartbeat.step()
        self._report_start()
        self._parts.look_at_the_clock()
        self._telling.step()

    def _report_start(self) -> None:
        with self._start_lock:
            if self._training is None or self._course.start_report is None:
                return
            try:
                self._events.send(EventKind.TRAINING_STARTED, self._course.start_report)
            except OSError:
                return  # again at the next step
            self._course.start_report = None
            self._course.keep(self._course_note)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _save_output(self) -> None:
        self._course.is_output_saved = True
        self._parts.observing.metrics.finish()
        save_output(self._folder.output, self._job.prefix, self._store, self._log.say)

    def _judge(self, ended: Exit) -> Ended:
        kills_before, kills_after = self._course.memory_kills_before, self._world.memory_kills()
        left_none = self._uploader.newest is None and not self._course.is_resumed
        has_memory_killed = kills_before is not None and kills_after is not None and kills_after > kills_before
        why = why_it_ended(
            ended,
            leaving=self._left,
            is_warned=self._lookout.is_warned,
            is_stopped=self._lookout.is_stopped,
            is_machine_ending=self._lookout.is_machine_ending,
            out_of_memory=has_memory_killed,
            lacks_checkpoint=self._job.verify_checkpoints and left_none,
        )
        warnings = (NO_CHECKPOINT,) if left_none and ended.code == 0 and why is Why.EXITED else ()
        for warning in warnings:
            self._log.say(warning)
        message = self._lookout.explanation(why) if ended.is_known else UNKNOWN_END
        if why is Why.OUT_OF_MEMORY or (has_memory_killed and ended.code != 0):
            found = self._world.memory(self._training.begun_at if self._training is not None else 0.0)
            message = f"{message} {out_of_memory.sentence(found, ended.peak_kib)}".strip()
        return Ended(why, ended, message=message, last_lines=self._log.last_lines(), warnings=warnings)

    def _is_forgiven(self, error: Exception) -> bool:
        """Whether the agent is started again after a fault of its own, rather than the training be asked to save."""
        training = self._training
        if training is None or training.poll() is not None or self._course.faults >= FAULTS_FORGIVEN:
            return False
        self._course.faults += 1
        self._course.keep(self._course_note)
        self._log.say(f"the agent failed ({type(error).__name__}: {error}) and is started again; the training goes on")
        return True

    def _fault(self, error: Exception) -> Ended:
        """The agent itself failed: let the training save, and say so.

        Not the user's fault, even before the training began: worth another machine, that resumes from what was saved.
        """
        message = f"The agent failed: {type(error).__name__}: {error}"
        self._log.say(message)
        self._cancelled.set()
        training = self._training
        if training is None:
            return Ended(Why.DEAD_MAN, message=message, started=False)
        self._lookout.note(Order(Act.LEAVE, Why.DEAD_MAN))
        training.send(Signals.SIGTERM)
        while training.poll() is None and self._lookout.time_to_save_s(self._world.clock.monotonic()) > 0:
            self._world.wait(LOOK_S)
        training.kill()
        self._uploader.finish()
        self._telling.flush()
        return Ended(Why.DEAD_MAN, message=message, last_lines=self._log.last_lines())

    def _tell(self, ended: Ended) -> None:
        if ended.exit is not None and ended.exit.code == 0 and ended.why is Why.EXITED:
            self._mark_complete()
        if not self._shipper.flush():
            problem = f"The log is not complete: {self._shipper.failure[:PROBLEM_CHARACTERS]}"
            ended = replace(ended, message=f"{ended.message} {problem}".strip())
        key = f"{self._job.prefix}final.json"
        reporter = Reporter(self._events, self._store, key, self._world.clock, self._log.say)
        reporter.report(ended, self._world.wait)
        self._course.is_machine_kept = self._is_kept_after(ended)
        self._course.power_off_at = self._world.clock.monotonic() + self._power_off_in(ended)
        self._course.keep(self._course_note)

    def _is_kept_after(self, ended: Ended) -> bool:
        """Whether the machine stays on: one that was given after any end, one that is kept on success after that alone.
        Never when EC2 takes it back, or when no controller is there that would end it; a restart of the machine tells
        nothing of the controller."""
        if self._notices.notice is not None:
            return False
        if self._job.keep_machine:
            return ended.why is not Why.DEAD_MAN or self._course.boot_id != self._world.boot_id()
        succeeded = ended.why is Why.EXITED and ended.exit is not None and ended.exit.code == 0
        return self._job.keep_machine_on_success and succeeded

    def _mark_complete(self) -> None:
        try:
            self._folder.complete.write_text(f"{iso(self._world.clock.now())}\n")
        except OSError as error:
            self._log.say(f"{self._folder.complete.name} could not be written: {error}")

    def _left_until_power_off_s(self) -> float:
        at = self._course.power_off_at
        if at is None or self._course.boot_id != self._world.boot_id():
            return 0.0
        return max(0.0, at - self._world.clock.monotonic())

    def _power_off_in(self, ended: Ended) -> float:
        """Seconds until the machine ends itself, if nobody else has by then."""
        if self._course.is_machine_kept:
            return 0.0
        notice = self._notices.notice
        if notice is not None:
            # A spot machine that EC2 interrupts within its first hour is free of charge, one that ends itself is not
            # (EC2 User Guide, "Billing for interrupted Spot Instances").
            return max(0.0, notice.ends_at + POWER_OFF_DELAY_S - self._world.clock.monotonic())
        return 0.0 if ended.why is Why.DEAD_MAN else POWER_OFF_GRACE_S
