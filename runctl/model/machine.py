"""What EC2 and SSM say of a machine, and what CreateFleet answered."""

from enum import StrEnum

from runctl.model.base import Model, UtcDatetime
from runctl.model.ids import InstanceId
from runctl.model.run import PurchaseOption


class MachineState(StrEnum):
    """EC2's instance states (EC2 User Guide, "Amazon EC2 instance state changes")."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"

    @property
    def is_going(self) -> bool:
        """Whether no training can go on in this state for longer than its shutdown takes."""
        return self not in (MachineState.PENDING, MachineState.RUNNING)

    @property
    def is_final(self) -> bool:
        """Whether EC2 will never run this machine again; a stopped one could be started."""
        return self in (MachineState.SHUTTING_DOWN, MachineState.TERMINATED)


SPOT_TERMINATION: str = "Server.SpotInstanceTermination"
"""The state reason of a machine that EC2 took back (EC2 API Reference, `StateReason`)."""


class MachineView(Model):
    """One instance as `DescribeInstances` shows it."""

    instance_id: InstanceId
    state: MachineState
    state_reason: str = ""
    """`StateReason.Code`, e.g. `Server.SpotInstanceTermination`; empty while all is well."""
    state_message: str = ""
    instance_type: str = ""
    availability_zone: str = ""
    purchase_option: PurchaseOption = PurchaseOption.ON_DEMAND
    launched_at: UtcDatetime | None = None
    changed_at: UtcDatetime | None = None
    """When a machine that goes began to, where EC2 tells it (`StateTransitionReason`)."""
    public_address: str = ""
    private_address: str = ""
    has_instance_profile: bool = True
    tags: dict[str, str] = {}


class Subnet(Model):
    """A subnet that machines may be launched in."""

    subnet_id: str
    availability_zone: str


class Accelerator(StrEnum):
    """Which driver a machine type needs on its image."""

    NONE = "none"
    NVIDIA = "nvidia"
    NEURON = "neuron"


class MachineType(Model):
    """One instance type as `DescribeInstanceTypes` shows it."""

    name: str
    architecture: str
    """`x86_64` or `arm64`, in EC2's spelling."""
    accelerator: Accelerator = Accelerator.NONE
    vcpus: int = 0
    memory_mib: int = 0
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory_mib: int = 0
    """Of each GPU."""


class LaunchedMachine(Model):
    """One instance that CreateFleet answered."""

    instance_id: InstanceId
    instance_type: str
    purchase_option: PurchaseOption
    subnet_id: str = ""
    availability_zone: str = ""
    image_id: str = ""


class FleetAnswer(Model):
    """What CreateFleet answered with HTTP 200: machines, and refusals beside or instead of them."""

    machines: tuple[LaunchedMachine, ...] = ()
    errors: tuple[dict[str, str], ...] = ()
    """Flattened: code, message, instance_type, subnet_id, availability_zone, lifecycle."""
