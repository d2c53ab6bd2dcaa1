"""What the controller must know of its deployment. The handlers build it from their environment."""

from typing import Annotated

from pydantic import Field

from runctl.model import timing
from runctl.model.base import Model


class ControllerSettings(Model):
    """Names of what was deployed, and the one limit that the machine is told."""

    region: str
    stack_name: str = ""
    bucket: str = ""
    bus_name: str = ""
    machine_log_group: str = ""
    launch_template_id: str = ""
    instance_profiles: str = ""
    """What runs may name as their instance profile: `name:role id`, separated by commas, the stack's own first."""
    subnet_ids: tuple[str, ...] = ()
    dead_man_s: Annotated[int, Field(ge=1)] = int(timing.DEAD_MAN.total_seconds())
    """Silence of the controller after which the agent saves, uploads and powers off."""
