"""The clock limits on which the state machine, the agent and the reaper agree.

Their order is a safety property and has a test: notice < heartbeat < dead-man < reaper grace. The controller must
have given a machine up (heartbeat) before the machine gives the controller up (dead-man), and the reaper, which
knows least, acts last.
"""

from datetime import timedelta
from typing import Final

SPOT_NOTICE: Final = timedelta(seconds=120)
"""How long before the end EC2 warns (EC2 User Guide, Spot interruption notices). Best effort."""

HEARTBEAT_INTERVAL: Final = timedelta(seconds=60)
"""How often the agent calls SendTaskHeartbeat, which adds no history event."""

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=900)
"""Silence after which the controller asks EC2 and SSM. More than SPOT_NOTICE, less than DEAD_MAN."""

DEAD_MAN: Final = timedelta(seconds=1_800)
"""Silence of the controller after which the agent saves, uploads and powers off. Less than REAPER_GRACE."""

REAPER_GRACE: Final = timedelta(seconds=3_600)
"""Age below which the reaper leaves a machine alone that no run seems to own."""

REAPER_SECOND_LOOK: Final = timedelta(minutes=10)
"""How long a machine must have been seen without an owner, look after look, before the reaper ends it. More than
SPOT_NOTICE and POWER_OFF_DELAY: a machine that drains after its attempt is over goes by itself."""

KEPT_FOR: Final = timedelta(hours=24)
"""How long a machine that somebody keeps is kept, unless they say otherwise."""

KEPT_IDLE_LIMIT: Final = timedelta(minutes=60)
"""How long a kept machine may run with no training on it. More than REAPER_SECOND_LOOK."""

READY_TIMEOUT: Final = timedelta(seconds=900)
"""From launch to SSM Online. Booting a GPU machine and installing a Python takes minutes; more than READY_ANNOUNCED."""

READY_ANNOUNCED: Final = timedelta(seconds=600)
"""How long a machine sends `Machine Ready`, every READY_INTERVAL, until the run's command arrives."""

READY_INTERVAL: Final = timedelta(seconds=10)

SAVE_LIMIT: Final = timedelta(seconds=300)
"""How long a training that was asked to stop may save and upload before its machine is ended anyway."""

SETUP_ALLOWANCE: Final = timedelta(hours=1)
"""How much longer than `max_runtime` a machine may take that has not begun to train."""

MAX_RUNTIME_LIMIT: Final = timedelta(days=30)
"""The most that `max_runtime` may be, extensions included."""

TRAIN_LIMIT: Final = timedelta(days=31)
"""Time limit of the state `Train`: more than MAX_RUNTIME_LIMIT, SETUP_ALLOWANCE and the longest time to save (1 h)."""

STOP_MARGIN: Final = timedelta(seconds=60)
"""Added to SAVE_LIMIT for the one-time schedule: EventBridge Scheduler is precise to 60 s (its User Guide)."""

UPLOAD_RESERVE: Final = timedelta(seconds=45)
"""Kept at the end of a notice for the last upload, at least."""

POWER_OFF_DELAY: Final = timedelta(seconds=60)
"""After EC2's announced time the agent still waits this long before it powers off itself: a spot machine that
EC2 interrupts in its first hour is free, one that ends itself is not (EC2 User Guide, Spot pricing)."""

CAPACITY_TIMEOUT: Final = timedelta(hours=2)
CAPACITY_TOLD_AFTER: Final = timedelta(minutes=15)
CAPACITY_BACKOFF_START: Final = timedelta(seconds=15)
CAPACITY_BACKOFF_MAX: Final = timedelta(minutes=15)

CODE_RENEWED_AFTER: Final = timedelta(days=90)
"""A project's object in the bucket that is older counts as written now when it is used again."""

CODE_KEPT: Final = timedelta(days=365)
"""After which the bucket forgets an object of a project. Longer than CODE_RENEWED_AFTER and the longest run together: a
run's machines read what was looked for, and renewed, when it was submitted."""

MAX_RUNTIME: Final = timedelta(hours=24)
"""Default of `--max-runtime`."""
