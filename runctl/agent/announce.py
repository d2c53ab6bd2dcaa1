"""Tells the controller that the machine is there, until the run's command has arrived."""

from collections.abc import Callable
from pathlib import Path

from runctl.agent.clock import Clock
from runctl.agent.events import Bus, EventKind, EventSender, Identity
from runctl.agent.layout import AttemptFolder
from runctl.agent.notice import Metadata

RUN_TAG = "runctl:run"
ATTEMPT_TAG = "runctl:attempt"

FIRST_INTERVAL_S = 1.0
"""The first announcement may be faster than the controller's note of the launch; the next ones come soon."""

INTERVAL_S = 10.0
"""`runctl.model.timing.READY_INTERVAL`: what the pause between two announcements grows to."""

LIMIT_S = 600.0
"""`runctl.model.timing.READY_ANNOUNCED`."""

LOOK_S = 0.5


def read_identity(metadata: Metadata) -> Identity:
    """Read who this machine is from its tags, set in the call that launched it. Raises OSError when one is missing."""
    items = {
        path: metadata.get(path)
        for path in ("instance-id", *(f"tags/instance/{tag}" for tag in (RUN_TAG, ATTEMPT_TAG)))
    }
    instance_id, run_id, attempt = items.values()
    if instance_id is None or run_id is None or attempt is None:
        missing = ", ".join(path for path, value in items.items() if value is None)
        raise OSError(f"the instance metadata has no {missing}")
    return Identity(run_id, int(attempt), instance_id)


def announce(
    identity: Identity, root: Path, bus: Bus, clock: Clock, wait: Callable[[float], object], say: Callable[[str], None]
) -> bool:
    """Send `Machine Ready`, at last every 10 s, for 10 min at most; says whether the start command came."""
    folder = AttemptFolder.of(root, identity.run_id, identity.attempt)
    events = EventSender(identity, bus, clock)
    limit = clock.monotonic() + LIMIT_S
    due_at = clock.monotonic()
    interval_s = FIRST_INTERVAL_S
    while not folder.claim.exists():
        now = clock.monotonic()
        if now >= limit:
            say("no start command came; SSM can still bring one")
            return False
        if now >= due_at:
            due_at = now + interval_s
            interval_s = min(2 * interval_s, INTERVAL_S)
            try:
                events.send(EventKind.MACHINE_READY, {})
            except OSError as error:
                say(f"the machine could not be announced: {error}")
        wait(LOOK_S)
    return True
