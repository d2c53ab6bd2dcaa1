"""The link to a machine's first process."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import runctl
from runctl.local.machines.inside.tree import kill_members
from runctl.local.machines.sandbox import Sandbox

_HALT_LIMIT_S = 15.0
"""How long the first process may take over the end of its tree before the server does it itself."""

MessageHandler = Callable[[dict[str, Any]], None]


class MachineProcess:
    """A running machine: its first process, and the pipe whose end is the machine's end."""

    def __init__(self, sandbox: Sandbox, process: asyncio.subprocess.Process, on_message: MessageHandler) -> None:
        self._sandbox = sandbox
        self._process = process
        self._on_message = on_message
        self._booted = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, sandbox: Sandbox, environment: dict[str, str], on_message: MessageHandler) -> "MachineProcess":
        """Start the machine's first process and wait until it listens; raises `OSError` when it cannot start."""
        package_root = str(Path(runctl.__file__).parent.parent)
        with sandbox.console.open("ab") as console:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-S", "-s", "-m", "runctl.local.machines.inside.init"),
                *(sandbox.instance_id, str(sandbox.temporary)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=console,
                cwd=sandbox.home,
                env={**environment, "PYTHONPATH": package_root},
                start_new_session=True,
            )
        sandbox.init_pid_file.write_text(str(process.pid))
        machine = cls(sandbox, process, on_message)
        ended = asyncio.create_task(process.wait())
        booted = asyncio.create_task(machine._booted.wait())
        await asyncio.wait({ended, booted}, return_when=asyncio.FIRST_COMPLETED)
        booted.cancel()
        if not machine._booted.is_set():
            raise OSError(f"the first process of {sandbox.instance_id} ended with {process.returncode} at once")
        return machine

    @property
    def pid(self) -> int:
        """The first process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the first process runs."""
        return self._process.returncode is None

    def send(self, request: dict[str, Any]) -> None:
        """Ask the first process for something."""
        assert self._process.stdin is not None
        if self.is_alive and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def wait(self) -> None:
        """Wait until the first process has ended."""
        await self._process.wait()

    async def halt(self, grace_s: float) -> None:
        """End the machine and everything in it; afterwards no process of it is left.

        With no grace the first process is killed as well, and the server ends the rest: nothing in the machine has a
        say in it.
        """
        if grace_s > 0:
            self.send({"do": "halt", "grace_s": grace_s})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_s + _HALT_LIMIT_S)
        await asyncio.to_thread(kill_members, self._sandbox.instance_id, self.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        # Whatever was born between the last look and the death of the first process.
        await asyncio.to_thread(kill_members, self._sandbox.instance_id)
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = cast("dict[str, Any]", json.loads(line))
            if message["event"] == "booted":
                self._booted.set()
            self._on_message(message)


def sweep(instance_id: str) -> set[int]:
    """Kill what an earlier server's machine left behind; returns what would not die. Blocks."""
    return kill_members(instance_id, None) - {os.getpid()}
