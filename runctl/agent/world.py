"""What the supervisor needs from outside; tests pass fakes."""

from collections.abc import Callable
from dataclasses import dataclass

from runctl.agent.clock import Clock
from runctl.agent.data import DataStore
from runctl.agent.events import Bus
from runctl.agent.heartbeat import Heartbeats
from runctl.agent.image import Registry
from runctl.agent.instance_store import InstanceStore
from runctl.agent.log_shipper import Stream
from runctl.agent.metrics import Look
from runctl.agent.notice import Metadata
from runctl.agent.object_store import ObjectStore
from runctl.agent.out_of_memory import Memory
from runctl.agent.power import Power
from runctl.agent.resume import Links
from runctl.agent.secrets import Secrets
from runctl.agent.training_process import Trainings


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
    metrics_stream: Stream
    gpus: Look
    links: Links
    secrets: Secrets
    power: Power
    trainings: Trainings
    boot_id: Callable[[], str]
    clock_error_s: Callable[[], float]
    """How much the machine's time of day is ahead of the right one; 0 when it is right. `clock` is corrected."""
    memory_kills: Callable[[], int | None]
    """The kernel's count of what it killed for want of memory."""
    memory: Callable[[float], Memory]
    """The figures since a moment of the monotonic clock."""
    data: DataStore | None = None
    """Buckets that the training reads."""
    registry: Registry | None = None
    """Amazon ECR, for an image of one's own."""
    instance_store: InstanceStore | None = None
    """Disks that the machine's type brings."""
    python_install_s: float = 0.0
    """What it took to install a Python on this machine: `MachineRecord.python_install_s`."""
