"""Powers the machine off, which ends it: the launch template says that a shutdown terminates."""

import subprocess
from typing import Protocol

COMMANDS = (("shutdown", "-h", "now"), ("poweroff",))


class Power(Protocol):
    """The machine's switch."""

    def off(self) -> None:
        """Power off."""
        ...


class MachinePower:
    """The operating system's own commands."""

    def off(self) -> None:
        """Power off; tries the second command when the first is not there or fails. Raises OSError when none helps."""
        for command in COMMANDS:
            try:
                if subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0:
                    return
            except FileNotFoundError:
                continue
        raise OSError("the machine could not be powered off")
