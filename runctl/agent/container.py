"""Is the training, where that runs in a container: starts it, passes signals on, ends with its exit code, removes it.

A program of its own, run as a file with nothing but the standard library: `container.py SPEC`, where SPEC is what
`runctl.agent.image` wrote. The keeper keeps it as it keeps any training. It has a handler for SIGUSR1 while the
container's main process has one, so that whoever asks whether the training hears it is told the truth.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

LOOK_S = 0.5
_TOOL_S = 60.0
_TRIES = 3
_SIGNALS_BASE = 128
_FAILED = 125
"""What docker itself answers when it could not do what it was asked to (Docker's reference, "Exit status")."""


class Container:
    """One container, by its name."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._tool: str = spec["tool"]
        self._name: str = spec["name"]
        self._create: list[str] = spec["create"]
        self._variables = Path(spec["variables"])
        self._leftovers: str = spec["leftovers"]
        self._init: int | None = None
        self._hears = False

    def run(self) -> int:
        """Run it from its creation to its removal; answers its exit code."""
        signal.signal(signal.SIGTERM, self._pass_on)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self.remove()  # one that an earlier start left
        self._remove_leftovers()
        try:
            created = self._ask(*self._create, is_shown=True)
            self._variables.unlink(missing_ok=True)
            if created.returncode:
                return _FAILED
            attached = subprocess.Popen([self._tool, "start", "--attach", "--sig-proxy=false", self._name])
            while True:
                try:
                    code = attached.wait(LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    self._listen()
            return self._exit_code(code)
        finally:
            self._variables.unlink(missing_ok=True)
            self.remove()

    def remove(self) -> None:
        """Remove it, running or not; one that is not there is fine."""
        for _ in range(_TRIES):
            with suppress(OSError, subprocess.TimeoutExpired):
                if self._ask("rm", "--force", self._name).returncode == 0:
                    return
                if self._ask("inspect", self._name).returncode:
                    return
            time.sleep(LOOK_S)

    def _remove_leftovers(self) -> None:
        """Remove containers of earlier attempts on this machine: it has one training at a time."""
        with suppress(OSError, subprocess.TimeoutExpired):
            for each in self._ask("ps", "--all", "--quiet", "--filter", self._leftovers).stdout.split():
                self._ask("rm", "--force", each)

    def _listen(self) -> None:
        """Have a handler for SIGUSR1 as long as the container's main process has one."""
        hears = self._catches(signal.SIGUSR1)
        if hears != self._hears:
            self._hears = hears
            signal.signal(signal.SIGUSR1, self._pass_on if hears else signal.SIG_IGN)

    def _catches(self, number: signal.Signals) -> bool:
        if self._init is None:
            found = self._state("{{.State.Pid}}")
            self._init = int(found) if found.isdigit() and int(found) > 0 else None
        if self._init is None:
            return False
        with suppress(OSError, ValueError, IndexError):
            # The first process is the small init that passes signals on; the training is its child.
            children = Path(f"/proc/{self._init}/task/{self._init}/children").read_text().split()
            status = Path(f"/proc/{children[0]}/status").read_text()
            (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
            return bool(int(caught, 16) >> (number - 1) & 1)
        return False

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        with suppress(OSError, subprocess.TimeoutExpired):
            self._ask("kill", "--signal", signal.Signals(number).name.removeprefix("SIG"), self._name)

    def _exit_code(self, attached: int) -> int:
        """The container's own code; that of the attached command when it cannot be had."""
        code, _, killed = self._state("{{.State.ExitCode}} {{.State.OOMKilled}}").partition(" ")
        if killed == "true":
            sys.stderr.write("runctl: the container was killed for want of memory\n")
            return _SIGNALS_BASE + signal.SIGKILL
        return int(code) if code.isdigit() else attached

    def _state(self, template: str) -> str:
        with suppress(OSError, subprocess.TimeoutExpired):
            return self._ask("inspect", "--format", template, self._name).stdout.strip()
        return ""

    def _ask(self, *words: str, is_shown: bool = False) -> "subprocess.CompletedProcess[str]":
        """Ask the tool. What it complains of goes to the training's log where it `is_shown`."""
        return subprocess.run(
            [self._tool, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if is_shown else subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=_TOOL_S,
        )


def main(arguments: Sequence[str]) -> int:
    """Run the container of a spec."""
    (spec,) = arguments
    return Container(json.loads(Path(spec).read_text())).run()


def remove(spec: Path) -> None:
    """Remove the container of a spec, when there is one: nothing of a training outlives it."""
    with suppress(FileNotFoundError):
        Container(json.loads(spec.read_text())).remove()


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
