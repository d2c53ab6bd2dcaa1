"""Supervises one attempt: prepares and starts the training, watches over it, saves what it made, reports its end."""

import json
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from signal import Signals
from typing import Any

from runctl.agent import out_of_memory
from runctl.agent.checkpoint_folder import CheckpointFolder
from runctl.agent.checkpoint_record import RecordFile
from runctl.agent.checkpoint_uploader import CheckpointUploader
from runctl.agent.clock import Clock, file_stamp, iso
from runctl.agent.ending import Act, Order, Why, why_it_ended
from runctl.agent.events import Bus, EventKind, EventSender, Identity
from runctl.agent.fence import LOOK_S as FENCE_LOOK_S
from runctl.agent.fence import Fence, ReplacementWatch
from runctl.agent.heartbeat import Heartbeat, Heartbeats
from runctl.agent.job import Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.log_shipper import LogShipper, Stream
from runctl.agent.lookout import Lookout
from runctl.agent.notice import POLL_S, Metadata, NoticeWatch
from runctl.agent.object_store import ObjectStore
from runctl.agent.power import Power
from runctl.agent.preparation import Prepared, prepare
from runctl.agent.progress import Progress
from runctl.agent.report import Ended, Reporter
from runctl.agent.resume import Links
from runctl.agent.run_log import LineReader, RunLog, open_log
from runctl.agent.secrets import Secrets
from runctl.agent.setup_error import SetupCancelledError, SetupError
from runctl.agent.telling import Telling
from runctl.agent.training_process import Exit, Training, TrainingProcess
from runctl.agent.worker import Worker

LOOK_S = 0.1
CHECKPOINT_LOOK_S = 0.5
LOG_INTERVAL_S = 1.0
HEARTBEAT_LOOK_S = 0.5
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


@dataclass(frozen=True)
class World:
    """What the supervisor needs from outside; tests pass fakes."""

    clock: Clock
    wait: Callable[[float], object]
    rest: Callable[[float], object]
    """Waits for the machine's end, and no longer."""
    is_going_down: Callable[[], bool]
    """Whether the machine is being shut down."""
    metadata: Metadata
    store: ObjectStore
    bus: Bus
    heartbeats: Heartbeats
    stream: Stream
    links: Links
    secrets: Secrets
    power: Power
    start: Callable[[Prepared, Path, RunLog], Training]
    memory_kills: Callable[[], int | None]


def start_process(prepared: Prepared, folder: Path, log: RunLog) -> Training:
    """Start the training for real."""
    return TrainingProcess(prepared.command, folder, prepared.environment, log)


def count_memory_kills() -> int | None:
    """Ask the kernel."""
    return out_of_memory.kills()


class Supervisor:
    """One attempt on this machine, from its job to the machine's end."""

    def __init__(self, job: Job, folder: AttemptFolder, tools: Path, world: World) -> None:
        clock = world.clock
        self._job = job
        self._folder = folder
        self._tools = tools
        self._world = world
        self._log = open_log(folder.path, file_stamp(clock.now()))
        say = self._log.say
        identity = Identity(job.run_id, job.attempt, job.instance_id, job.secret)
        self._events = EventSender(identity, world.bus, clock)
        log_key = f"{job.prefix}logs/{self._log.path.name}"
        self._shipper = LogShipper(self._log, folder.sent, world.stream, world.store, log_key, clock, world.wait)
        self._heartbeat = Heartbeat(world.heartbeats, job.task_token, job.heartbeat_interval_s, clock, say)
        self._notices = NoticeWatch(world.metadata, clock, say)
        self._lookout = Lookout(job, folder.requests, self._heartbeat, self._notices, world.is_going_down, clock, say)
        progress = Progress(LineReader(folder.metrics), LineReader(self._log.path))
        self._telling = Telling(self._events, progress.read, self._is_urgent, clock, say)
        self._uploader = CheckpointUploader(
            CheckpointFolder(folder.checkpoints),
            RecordFile(folder.uploads),
            world.store,
            job,
            self._telling.saved,
            clock,
            say,
        )
        self._fence = Fence(job, world.store, self._events, clock, world.wait, say)
        self._replacement = ReplacementWatch(job, world.store, self._notices, say)
        self._cancelled = threading.Event()
        self._workers: tuple[Worker, ...] = ()
        self._tell_soon: Callable[[], None] = lambda: None
        self._start_report: dict[str, Any] | None = None
        self._start_lock = threading.Lock()
        self._training: Training | None = None
        self._is_output_saved = False

    def run(self) -> None:
        """Run the attempt; returns when the machine was told to power off."""
        try:
            try:
                ended = self._attempt()
            except Exception as error:  # noqa: BLE001 - the agent's one boundary: whatever happens, the controller is told
                ended = self._fault(error)
            self._tell(ended)
            if not self._is_output_saved:
                self._save_output()
            self._world.rest(self._power_off_in(ended))
        finally:
            self._world.power.off()

    # -- the course of an attempt ------------------------------------------------------------------------------------

    def _attempt(self) -> Ended:
        with self._working():
            begun_at = self._world.clock.monotonic()
            prepared = self._prepare()
            if isinstance(prepared, Ended):
                return prepared
            kills_before = self._world.memory_kills()
            training = self._start(prepared, self._world.clock.monotonic() - begun_at)
            if isinstance(training, Ended):
                return training
            ended = self._watch(training)
            return self._judge(ended, kills_before, is_resumed=prepared.resumed is not None)

    @contextmanager
    def _working(self) -> Generator[None]:
        with (
            Worker("heartbeat", self._keep_in_touch, HEARTBEAT_LOOK_S) as heartbeat,
            Worker("log", self._shipper.step, LOG_INTERVAL_S) as log,
            Worker("notice", self._notices.step, POLL_S) as notice,
            Worker("replacement", self._replacement.step, FENCE_LOOK_S) as replacement,
        ):
            self._workers = (heartbeat, log, notice, replacement)
            self._tell_soon = heartbeat.nudge
            yield
            for worker in self._workers:
                worker.stop(WORKER_LIMIT_S)

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
        world = self._world
        is_cancelled = self._cancelled.is_set
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
                    lambda: self._fence.passed(is_cancelled),
                )
            )
        except SetupCancelledError:
            pass  # nobody waits for the outcome any more
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits for it
            outcome.set_exception(error)

    def _start(self, prepared: Prepared, prepared_s: float) -> Training | Ended:
        try:
            training = self._world.start(prepared, self._folder.code, self._log)
        except OSError as error:
            message = f"{self._job.label} could not be started: {error}"
            self._log.say(message)
            return Ended(Why.SETUP_FAILED, message=message, started=False)
        self._training = training
        self._lookout.training_began(prepared.max_runtime_s)
        point = prepared.resumed.point if prepared.resumed is not None else None
        self._start_report = {
            "started_at": iso(self._world.clock.now()),
            "resumed_from": point.manifest_key if point else None,
            "resumed_from_step": point.step if point else None,
            "prepared_s": prepared_s,
            "log_stream": self._job.log_stream,
            "warnings": list(prepared.resumed.passed_over if prepared.resumed is not None else ()),
        }
        self._tell_soon()
        return training

    def _watch(self, training: Training) -> Exit:
        """Watch over the training until it has ended and what it left is saved."""
        with Worker("checkpoints", self._uploader.step, CHECKPOINT_LOOK_S) as uploads:
            self._workers = (*self._workers, uploads)
            while (ended := training.poll()) is None:
                self._lookout.obey(self._look(hears_usr1=training.hears(Signals.SIGUSR1)), training)
                self._world.wait(LOOK_S)
            training.kill()  # what it left behind in its group
            shown = f"exit code {ended.code}" if ended.code is not None else f"signal {ended.signal}"
            self._log.say(f"the training ended with {shown}")
            self._report_start()  # it may have been shorter than a look
            is_idle = uploads.stop(self._lookout.time_to_save_s())
        if self._lookout.is_stopped_now:
            self._is_output_saved = True  # it is not wanted
            return ended
        if not is_idle:
            self._log.say("a checkpoint was still being uploaded when the time for it was over")
        while is_idle and not self._uploader.finish() and self._lookout.time_to_save_s() > 0:
            self._world.wait(FINISH_PAUSE_S)
        self._telling.flush()
        if self._notices.notice is None:  # else the report comes first
            self._save_output()
        return ended

    def _look(self, *, hears_usr1: bool) -> Order:
        for worker in self._workers:
            worker.check()
        return self._lookout.look(hears_usr1=hears_usr1, longest_upload_s=self._uploader.longest_upload_s)

    # -- what goes on beside the training, each in a thread of its own -------------------------------------------------

    def _keep_in_touch(self) -> None:
        self._heartbeat.step()
        self._report_start()
        self._telling.step()

    def _report_start(self) -> None:
        with self._start_lock:
            if self._start_report is None:
                return
            try:
                self._events.send(EventKind.TRAINING_STARTED, self._start_report)
            except OSError:
                return  # again at the next step
            self._start_report = None

    def _is_urgent(self) -> bool:
        """Whether the controller should hear of every checkpoint at once, for there may be no later."""
        return self._lookout.is_warned or self._lookout.leaving is not None

    # -- the end -----------------------------------------------------------------------------------------------------

    def _save_output(self) -> None:
        """Upload the output, and last of all the listing with the hashes, by which `runctl download` checks it."""
        self._is_output_saved = True
        files: list[dict[str, str | int]] = []
        for path in sorted(self._folder.output.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(self._folder.output).as_posix()
            key = f"{self._job.prefix}output/{name}"
            try:
                stored = self._world.store.put_file(key, path)
            except OSError as error:
                self._log.say(f"output {name} could not be uploaded: {error}")
                continue
            files.append({"path": name, "key": key, "bytes": stored.bytes, "sha256": stored.sha256})
        if not files:
            return
        try:
            listing = json.dumps({"version": 1, "files": files}, indent=1)
            self._world.store.put(f"{self._job.prefix}output.json", listing.encode())
        except OSError as error:
            self._log.say(f"the listing of the output could not be uploaded: {error}")

    def _judge(self, ended: Exit, kills_before: int | None, *, is_resumed: bool) -> Ended:
        kills_after = self._world.memory_kills()
        left_none = self._uploader.newest is None and not is_resumed
        why = why_it_ended(
            ended,
            leaving=self._lookout.leaving,
            is_warned=self._lookout.is_warned,
            is_stopped=self._lookout.is_stopped,
            is_machine_ending=self._lookout.is_machine_ending,
            out_of_memory=kills_before is not None and kills_after is not None and kills_after > kills_before,
            lacks_checkpoint=self._job.verify_checkpoints and left_none,
        )
        warnings = (NO_CHECKPOINT,) if left_none and ended.code == 0 and why is Why.EXITED else ()
        for warning in warnings:
            self._log.say(warning)
        message = self._lookout.explanation(why)
        return Ended(why, ended, message=message, last_lines=self._log.last_lines(), warnings=warnings)

    def _fault(self, error: Exception) -> Ended:
        """The agent itself failed: let the training save, and say so."""
        message = f"The agent failed: {type(error).__name__}: {error}"
        self._log.say(message)
        self._cancelled.set()
        training = self._training
        if training is None:
            return Ended(Why.SETUP_FAILED, message=message, started=False)
        training.send(Signals.SIGTERM)
        limit = self._world.clock.monotonic() + self._lookout.time_to_save_s()
        while training.poll() is None and self._world.clock.monotonic() < limit:
            self._world.wait(LOOK_S)
        training.kill()
        self._uploader.finish()
        self._telling.flush()
        # Not the user's fault, and worth another machine: the run is resumed from what was saved.
        return Ended(Why.DEAD_MAN, message=message, last_lines=self._log.last_lines())

    def _tell(self, ended: Ended) -> None:
        if ended.exit is not None:
            self._folder.exit_code.write_text(f"{ended.exit.shell_code}\n")
            if ended.exit.code == 0 and ended.why is Why.EXITED:
                self._folder.complete.write_text(f"{iso(self._world.clock.now())}\n")
        if not self._shipper.flush():
            problem = f"The log is not complete: {self._shipper.failure[:PROBLEM_CHARACTERS]}"
            ended = replace(ended, message=f"{ended.message} {problem}".strip())
        key = f"{self._job.prefix}final.json"
        reporter = Reporter(self._events, self._world.store, key, self._world.clock, self._log.say)
        reporter.report(ended, self._world.wait)

    def _power_off_in(self, ended: Ended) -> float:
        """Seconds until the machine ends itself, if nobody else has by then."""
        notice = self._notices.notice
        if notice is not None:
            # A spot machine that EC2 interrupts within its first hour is free of charge, one that ends itself is not
            # (EC2 User Guide, "Billing for interrupted Spot Instances").
            return max(0.0, notice.ends_at + POWER_OFF_DELAY_S - self._world.clock.monotonic())
        return 0.0 if ended.why is Why.DEAD_MAN else POWER_OFF_GRACE_S
