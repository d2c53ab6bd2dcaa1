"""The first process of a machine: starts what the server asks for, and takes everything down at the end.

It talks with the server over its standard input and output, one JSON document a line. The end of its input means that
the server is gone, by whatever death; then it kills the machine's process tree and leaves. Standard library only, and
started with `python -S`: it is resident once for each machine.

From the server: `{"do": "run", "id", "argv", "cwd", "stdout", "stderr", "timeout_s"}`, `{"do": "cancel", "id"}`,
`{"do": "halt", "grace_s"}`. To the server: `booted`, `started`, `exited` (with `code` and `how`: exited, timed_out or
cancelled), `asked` (`shutdown` or `reboot`), `halted`.
"""

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from runctl.local.machines.inside import tree

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_ASKED_BY_SIGNAL = {signal.SIGUSR1: "shutdown", signal.SIGUSR2: "reboot"}
_POLL_S = 0.02


class Command:
    """One command that runs, with its own session and so its own process group."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.id: str = request["id"]
        self.how = "exited"
        timeout_s = request.get("timeout_s")
        self.deadline = time.monotonic() + timeout_s if timeout_s else None
        with Path(request["stdout"]).open("ab") as out, Path(request["stderr"]).open("ab") as err:
            self.process = subprocess.Popen(
                request["argv"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=request["cwd"],
                start_new_session=True,
            )

    def kill(self, how: str) -> None:
        """Kill the command's process group."""
        self.how = how
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Init:
    """The loop of the first process."""

    def __init__(self, instance_id: str, temporary: Path) -> None:
        self._instance_id = instance_id
        self._temporary = temporary
        self._commands: dict[int, Command] = {}
        self._input = b""
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> None:
        """Serve until the server asks for the end, or is gone."""
        os.environ.pop("PYTHONPATH", None)
        _adopt_orphans()
        self._watch_signals()
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._tell("booted", pid=os.getpid())
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.fd == 0:
                    self._read_requests()
                else:
                    self._read_signals()
            self._reap()
            for command in self._commands.values():
                if command.deadline is not None and time.monotonic() >= command.deadline:
                    command.deadline = None
                    command.kill("timed_out")

    def _watch_signals(self) -> None:
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # The handlers do nothing: the wake-up pipe carries the signal's number into the loop. The last three are
        # passed over (a machine ends when the server says so), but not with SIG_IGN, which children would inherit.
        for number in (signal.SIGCHLD, *_ASKED_BY_SIGNAL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _do_nothing)

    def _patience(self) -> float | None:
        deadlines = [command.deadline for command in self._commands.values() if command.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _tell(self, event: str, **facts: object) -> None:
        with contextlib.suppress(OSError):  # the server is gone: the end of our input says so as well
            os.write(1, json.dumps({"event": event, **facts}).encode() + b"\n")

    def _read_requests(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(0, 65536):
                self._input += chunk
            self._halt(0.0)
        *lines, self._input = self._input.split(b"\n")
        for line in lines:
            self._serve(json.loads(line))

    def _serve(self, request: dict[str, Any]) -> None:
        match request["do"]:
            case "run":
                self._start(request)
            case "cancel":
                for command in self._commands.values():
                    if command.id == request["id"]:
                        command.kill("cancelled")
            case "halt":
                self._halt(request["grace_s"])
            case unknown:
                raise ValueError(f"cannot do {unknown}")

    def _start(self, request: dict[str, Any]) -> None:
        try:
            command = Command(request)
        except OSError as error:
            # As a shell says it: 126 for what cannot be executed, 127 for what is not there.
            code = 127 if isinstance(error, FileNotFoundError) else 126
            with Path(request["stderr"]).open("a") as file:
                file.write(f"{error}\n")
            self._tell("exited", id=request["id"], code=code, how="exited")
            return
        self._commands[command.process.pid] = command
        self._tell("started", id=command.id, pid=command.process.pid)

    def _read_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._wake_read, 4096):
                if number in _ASKED_BY_SIGNAL:
                    self._tell("asked", what=_ASKED_BY_SIGNAL[signal.Signals(number)])

    def _reap(self) -> None:
        """Collect the dead: our commands, and the orphans that the kernel gave us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            command = self._commands.pop(pid, None)
            if command is not None:
                code = os.waitstatus_to_exitcode(status)
                command.process.returncode = code
                self._tell("exited", id=command.id, code=code, how=command.how)

    def _halt(self, grace_s: float) -> None:
        """End the machine: SIGTERM as an operating system's shutdown sends it, then SIGKILL."""
        if grace_s > 0:
            tree.signal_all(tree.members(self._instance_id, os.getpid()), signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline and tree.members(self._instance_id, os.getpid()):
                self._reap()
                time.sleep(_POLL_S)
        left = tree.kill_members(self._instance_id, os.getpid(), reap=self._reap)
        self._reap()  # whoever inherits us may not collect our dead
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._tell("halted", left=sorted(left))
        sys.exit(0)


def _do_nothing(_number: int, _frame: object) -> None:
    """Handle a signal whose number the wake-up pipe has carried already."""


def _adopt_orphans() -> None:
    """On Linux, have orphans of this machine given to us and not to the host's first process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    Init(sys.argv[1], Path(sys.argv[2])).run()
