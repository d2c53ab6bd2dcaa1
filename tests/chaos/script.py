"""What a user wrote, and what a machine finds around it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from runctl.model.agent_event import AgentEventKind
from runctl.model.checkpoint import Manifest
from runctl.model.ids import InstanceId
from runctl.model.job import AgentJob, HandOver, ReplacementReady

if TYPE_CHECKING:
    from tests.chaos.machine import Machine


@dataclass(frozen=True)
class Script:
    """What the user wrote."""

    work_s: int = 600
    save_every_s: int = 120
    saves_for_s: float = 5.0
    """How long saving takes when it is asked to leave."""
    uploads_for_s: float = 2.0
    prepares_for_s: float = 10.0
    hears_usr1: bool = True
    hears_term: bool = True
    """Otherwise SIGTERM just ends it."""
    fails_at: int | None = None
    fails_with: int = 1
    fails_once: bool = False
    """Only an attempt that begins before `fails_at` meets the failure."""
    runs_out_of_memory: bool = False
    leaves_every_s: int | None = None
    """It saves and leaves with exit code 75 although nobody asked."""
    hangs: bool = False
    setup_fails: bool = False


class Around(Protocol):
    """What a machine finds around it."""

    def job(self, instance_id: InstanceId) -> AgentJob | None:
        """Read the hand-off."""
        ...

    def go(self, instance_id: InstanceId) -> HandOver | None:
        """Read the controller's word that no earlier machine trains any more."""
        ...

    def replacement(self, instance_id: InstanceId) -> ReplacementReady | None:
        """Read the controller's word that another machine waits for this one."""
        ...

    def heartbeat(self, token: str) -> bool:
        """SendTaskHeartbeat; False for a dead token."""
        ...

    def put_event(self, kind: AgentEventKind, detail: dict[str, Any]) -> None:
        """PutEvents."""
        ...

    def put_manifest(self, manifest: Manifest) -> None:
        """Write a checkpoint's manifest."""
        ...

    def put_marker(self, instance_id: InstanceId, detail: dict[str, Any]) -> None:
        """Write the final marker."""
        ...

    def power_off(self, instance_id: InstanceId) -> None:
        """Shut the machine down, which ends it."""
        ...

    def training_began(self, machine: "Machine") -> None:
        """Look whether it may."""
        ...
