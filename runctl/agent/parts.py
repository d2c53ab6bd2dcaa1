"""The supervisor's parts, put together for one attempt: what each thread steps, and what they know of each other."""

from pathlib import Path

from runctl.agent.checkpoint_folder import CheckpointFolder
from runctl.agent.checkpoint_record import RecordFile
from runctl.agent.checkpoint_uploader import CheckpointUploader
from runctl.agent.clock import file_stamp
from runctl.agent.disk import HeldRoom
from runctl.agent.events import EventSender, Identity
from runctl.agent.fence import Fence, ReplacementWatch
from runctl.agent.heartbeat import Heartbeat
from runctl.agent.job import Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.limits import Deadline
from runctl.agent.log_shipper import LogShipper
from runctl.agent.lookout import Lookout
from runctl.agent.note import Note
from runctl.agent.notice import NoticeWatch
from runctl.agent.observing import observe
from runctl.agent.package_keeping import Installed, PackageKeeping
from runctl.agent.run_log import open_log
from runctl.agent.telling import Telling
from runctl.agent.trouble import Trouble, WatchedHeartbeats, WatchedStore, WatchedStream
from runctl.agent.upload_times import UploadTimes
from runctl.agent.world import World


class Parts:
    """One of each."""

    def __init__(self, job: Job, folder: AttemptFolder, tools: Path, world: World) -> None:
        clock = world.clock
        self.log = open_log(folder.path, file_stamp(clock.now()))
        say = self.log.say
        self.events = EventSender(Identity(job.run_id, job.attempt, job.instance_id, job.secret), world.bus, clock)
        self.observing = observe(job, folder, self.log, world)
        self.telling = Telling(self.events, self.observing.progress.read, self._is_urgent, clock, say)
        warn = self.telling.warn
        self.store = WatchedStore(
            world.store, Trouble("The bucket cannot be written", "The bucket is written again", warn, clock)
        )
        stream = WatchedStream(
            world.stream, Trouble("The log cannot be sent", "The log is sent again, nothing is missing", warn, clock)
        )
        silence = Trouble("The controller cannot be reached", "The controller is reached again", warn, clock)
        heartbeats = WatchedHeartbeats(world.heartbeats, silence)
        log_key = f"{job.prefix}logs/{self.log.path.name}"
        self.shipper = LogShipper(self.log, folder.sent, stream, self.store, log_key, clock, world.wait)
        self.heartbeat = Heartbeat(heartbeats, job.task_token, job.heartbeat_interval_s, clock, say)
        self.notices = NoticeWatch(world.metadata, clock, say)
        self.deadline = Deadline(job, self.store, clock, say)
        self.lookout = Lookout(
            job,
            folder.requests,
            self.heartbeat,
            self.notices,
            self.deadline,
            world.is_going_down,
            clock,
            say,
            Note(folder.note("lookout"), say),
        )
        self.uploader = CheckpointUploader(
            CheckpointFolder(folder.checkpoints),
            RecordFile(folder.uploads),
            self.store,
            job,
            self.telling.saved,
            clock,
            say,
            UploadTimes(Note(folder.note("upload-times"), say)),
            may_be_read=self._is_urgent,
        )
        self.packages = PackageKeeping(
            tools,
            folder.packages,
            job.packages_prefix,
            world.store,
            {"run_id": job.run_id, "attempt": job.attempt},
            lambda: self.notices.notice is not None or self.lookout.leaving is not None,
            say,
            Note(folder.note("packages"), say),
        )
        self.room = HeldRoom(folder.held_room, warn)
        self.fence = Fence(job, self.store, self.events, clock, world.wait, say)
        self.replacement = ReplacementWatch(job, self.store, self.notices, say)
        self._clock_error_s = world.clock_error_s
        self._wrong_clock = Trouble(
            "The machine's clock is wrong", "The machine's clock is right again", warn, clock, told_after_s=0.0
        )

    def training_began(self, began_at: float, installed: Installed | None = None) -> None:
        """Follow a training from its start; `installed` are packages that may be kept."""
        self.observing.boards.training_began(began_at)
        self.packages.begin(installed)

    def take_hold(self, began_at: float) -> None:
        """Follow a training that an agent before this one started."""
        self.observing.boards.training_began(began_at)
        self.packages.go_on()

    def look_at_the_clock(self) -> None:
        """Tell of a clock that is wrong; all that the agent does itself is corrected."""
        error_s = self._clock_error_s()
        if error_s == 0:
            self._wrong_clock.went()
        else:
            self._wrong_clock.came(f"by {abs(error_s) / 60:.0f} min, {'ahead' if error_s > 0 else 'behind'}")

    def _is_urgent(self) -> bool:
        """Whether the controller should hear of every checkpoint at once, for there may be no later."""
        return self.lookout.is_warned or self.lookout.leaving is not None
