"""Keeps a supervisor where no systemd does: starts it again when it dies, and ends the machine when that is in vain."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from types import FrameType

from runctl.agent.power import Power
from runctl.agent.run_log import Say
from runctl.agent.start import CANNOT_START
from runctl.agent.unit import RESTARTS, RESTARTS_WITHIN_S

PAUSE_S = 1.0
"""Before it is started again, as the unit's `RestartSec`."""


def guard(command: Sequence[str], power: Power, say: Say, *, wait: Callable[[float], object] = time.sleep) -> int:
    """Run the supervisor until it ends as it should; answers its exit code. Powers off when it died too often."""
    asked: int | None = None
    is_passed_on = False
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        nonlocal asked, is_passed_on
        asked = number
        if process is not None and process.poll() is None:
            process.send_signal(number)
            is_passed_on = True

    signal.signal(signal.SIGTERM, pass_on)
    deaths: list[float] = []
    while True:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        if asked is not None and not is_passed_on:  # it came while the process was being started
            process.send_signal(asked)
        code = process.wait()
        if code in (0, CANNOT_START) or asked is not None:
            return code
        now = time.monotonic()
        deaths = [at for at in deaths if now - at < RESTARTS_WITHIN_S] + [now]
        if len(deaths) > RESTARTS:
            say(f"the supervisor died {len(deaths)} times in {RESTARTS_WITHIN_S} s; the machine is given up")
            power.off()
            return code
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        say(f"the supervisor {how}; it is started again")
        wait(PAUSE_S)
