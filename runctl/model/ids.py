"""Typed identifiers, and how a new run id is made."""

import re
import secrets
from datetime import datetime
from typing import NewType

RunId = NewType("RunId", str)
"""`r-` and 12 characters. Also the execution's name (Step Functions allows 80 characters) and a part of S3 keys."""

AttemptNumber = NewType("AttemptNumber", int)
"""1 for the first machine that tries the run, then 2, …"""

InstanceId = NewType("InstanceId", str)
"""EC2's own: `i-` and 17 hexadecimal digits."""

TaskToken = NewType("TaskToken", str)
"""A Step Functions task token, at most 2,048 characters. Never logged."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread
_TIME_CHARACTERS = 7
_RANDOM_CHARACTERS = 5
RUN_ID_PATTERN = re.compile(rf"r-[{_ALPHABET}]{{{_TIME_CHARACTERS + _RANDOM_CHARACTERS}}}")


def new_run_id(now: datetime) -> RunId:
    """Make a run id that sorts by creation time: seven characters of seconds since 1970, five of chance.

    Two runs of the same second collide with a chance of one in 33 million, and the conditional write of the
    run's first item catches even that.
    """
    seconds = int(now.timestamp())
    time_part = "".join(_ALPHABET[seconds >> (5 * place) & 31] for place in reversed(range(_TIME_CHARACTERS)))
    return RunId(f"r-{time_part}" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS)))
