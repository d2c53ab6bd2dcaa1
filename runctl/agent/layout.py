"""Where the agent's files lie on the machine."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_ROOT = "/opt/runctl"


def root() -> Path:
    """`RUNCTL_ROOT`."""
    return Path(os.environ.get("RUNCTL_ROOT", DEFAULT_ROOT))


@dataclass(frozen=True)
class MachineRecord:
    """What the user data left in `machine.json`: all that is known before there is a job."""

    bucket: str
    bus_name: str
    machine_role_id: str
    region: str
    python_install_s: float = 0.0
    """What it took to install a Python; 0 where the image has one that will do."""

    @classmethod
    def read(cls, path: Path) -> "MachineRecord":
        """Read the record. Raises OSError, ValueError or KeyError when the user data did not get that far."""
        found: dict[str, Any] = json.loads(path.read_text())
        return cls(
            found["bucket"],
            found["bus_name"],
            found["machine_role_id"],
            found["region"],
            float(found.get("python_install_s", 0.0)),
        )

    def handoff_key(self, instance_id: str) -> str:
        """Key of this machine's job, as `runctl.model.keys.handoff_key`."""
        return f"handoff/{self.machine_role_id}:{instance_id}/job.json"


def machine_record(machine_root: Path) -> Path:
    """The file that the user data writes."""
    return machine_root / "machine.json"


@dataclass(frozen=True)
class AttemptFolder:
    """`runs/<run>/attempt-<n>/` below the root."""

    path: Path

    @classmethod
    def of(cls, machine_root: Path, run_id: str, attempt: int) -> "AttemptFolder":
        """Name the folder of an attempt."""
        return cls(machine_root / "runs" / run_id / f"attempt-{attempt}")

    @property
    def claim(self) -> Path:
        """There once a `start` has taken the attempt; a second one then does nothing."""
        return self.path / "claimed"

    @property
    def job(self) -> Path:
        """The hand-off as it was read, for a supervisor that is started again while the bucket cannot be reached."""
        return self.path / "job.json"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor: there is never more than one."""
        return self.path / "supervisor.lock"

    @property
    def held_room(self) -> Path:
        """Takes up some of the disk, for when it is full."""
        return self.path / "held-room"

    def note(self, name: str) -> Path:
        """What a part of the supervisor must know again when it is started again."""
        return self.path / "notes" / f"{name}.json"

    @property
    def ready(self) -> Path:
        """There once the supervisor has read its job and can report."""
        return self.path / "supervisor.json"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor writes about itself."""
        return self.path / "supervisor.log"

    @property
    def requests(self) -> Path:
        """Where `stop` and `notice` leave their requests."""
        return self.path / "requests"

    @property
    def code(self) -> Path:
        """The project, unpacked; the training's working directory."""
        return self.path / "code"

    @property
    def environment(self) -> Path:
        """The virtual environment, when the project names packages or there is a set-up command."""
        return self.path / "environment"

    @property
    def packages(self) -> Path:
        """Pieces of packed packages, on their way to the bucket or from it."""
        return self.path / "packages"

    @property
    def checkpoints(self) -> Path:
        """`RUNCTL_CHECKPOINT_DIR`."""
        return self.path / "checkpoints"

    @property
    def container(self) -> Path:
        """How the training is run in a container, when it is."""
        return self.path / "container.json"

    @property
    def uploads(self) -> Path:
        """What is known of the checkpoints in the bucket."""
        return self.path / "uploads.json"

    @property
    def resume(self) -> Path:
        """Where the checkpoint to resume from is fetched to."""
        return self.path / "resume"

    @property
    def output(self) -> Path:
        """`RUNCTL_OUTPUT_DIR`."""
        return self.path / "output"

    @property
    def data(self) -> Path:
        """`RUNCTL_DATA_DIR`."""
        return self.path / "data"

    @property
    def scratch(self) -> Path:
        """`RUNCTL_SCRATCH_DIR`."""
        return self.path / "scratch"

    @property
    def metrics(self) -> Path:
        """`RUNCTL_METRICS_FILE`."""
        return self.path / "metrics.jsonl"

    @property
    def exit_code(self) -> Path:
        """Written by the training's keeper at every end of a training."""
        return self.path / "training_exit_code.txt"

    @property
    def complete(self) -> Path:
        """Written only on success."""
        return self.path / "training_complete.txt"

    @property
    def sent(self) -> Path:
        """How far the log was sent."""
        return self.path / "log_sent.json"

    def create(self) -> None:
        """Make what the training is promised to find."""
        for folder in (self.requests, self.checkpoints, self.output, self.scratch):
            if not folder.is_symlink():  # scratch, to a store that a restart of the machine took away
                folder.mkdir(parents=True, exist_ok=True)
