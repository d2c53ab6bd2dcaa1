"""The life of machines: pending, running, shutting-down, terminated, and the processes behind them."""

import asyncio
import base64
import contextlib
import logging
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from runctl.local.machines.addresses import PUBLIC_NETWORK, address_in
from runctl.local.machines.clock import now
from runctl.local.machines.events import EventPublisher
from runctl.local.machines.machine import (
    HOST_FAILED,
    INSTANCE_SHUTDOWN,
    LAUNCH_FAILED,
    SPOT_TERMINATION,
    TERMINATED_VISIBLE_FOR,
    USER_SHUTDOWN,
    Machine,
    State,
    StateReason,
)
from runctl.local.machines.process import MachineProcess, sweep
from runctl.local.machines.sandbox import Sandbox

SHUTDOWN_GRACE_S = 1.0
"""From SIGTERM to SIGKILL at the end of a machine. An EC2 instance's own shutdown gives its services more; here an
ending should be seen soon."""

USER_DATA_COMMAND = "user-data"

_log = logging.getLogger(__name__)

MessageHandler = Callable[[dict[str, Any]], None]


@dataclass
class _Runtime:
    """What exists only while the server runs."""

    machine: Machine
    sandbox: Sandbox
    process: MachineProcess | None = None
    boot: asyncio.Task[None] | None = None
    end_asked: asyncio.Event = field(default_factory=asyncio.Event)
    online_since: datetime | None = None
    lost_at: datetime | None = None
    """When the machine died silently, for EC2 goes on to say running."""
    listeners: dict[str, MessageHandler] = field(default_factory=dict[str, MessageHandler])


class MachineKeeper:
    """Keeps all machines of one local cloud. Everything but `startup` and `shutdown` returns at once."""

    def __init__(
        self, *, state_dir: Path, endpoint_url: str, region: str, boot_delay_s: float, events: EventPublisher
    ) -> None:
        self._directory = state_dir / "machines"
        self._endpoint_url = endpoint_url.rstrip("/")
        self._region = region
        self._boot_delay_s = boot_delay_s
        self._events = events
        self._runtimes: dict[str, _Runtime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lent = 0

    async def startup(self) -> None:
        """Read the records of an earlier server. Its machines died with it, and are shown as terminated."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for record in sorted(self._directory.glob("*/machine.json")):
            machine = Machine.load(record.parent)
            runtime = self._runtimes[machine.instance_id] = _Runtime(machine, self._sandbox(machine.instance_id))
            if machine.state is not State.TERMINATED:
                await asyncio.to_thread(sweep, machine.instance_id)
            if machine.state not in (State.TERMINATED, State.STOPPED):
                reason = SPOT_TERMINATION if machine.interrupted_at and machine.is_ended else HOST_FAILED
                self._move(runtime, State.TERMINATED, reason, "Server initiated")
                runtime.sandbox.remove_disk()

    async def shutdown(self) -> None:
        """End every process. The records stay as they are: the next server tells that their machines are gone."""
        for runtime in self._runtimes.values():
            runtime.end_asked.set()
        processes = [runtime.process for runtime in self._runtimes.values() if runtime.process is not None]
        for runtime in self._runtimes.values():
            runtime.process = None
        await asyncio.gather(*(process.halt(SHUTDOWN_GRACE_S) for process in processes))
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def all(self) -> list[Machine]:
        """All machines that EC2 shows, oldest first; those terminated an hour ago are forgotten."""
        for instance_id, runtime in list(self._runtimes.items()):
            machine = runtime.machine
            if machine.state is State.TERMINATED:
                ended_at = datetime.fromisoformat(machine.transitioned_at)
                if now() - ended_at > TERMINATED_VISIBLE_FOR:
                    del self._runtimes[instance_id]
                    shutil.rmtree(runtime.sandbox.directory, ignore_errors=True)
        return sorted((runtime.machine for runtime in self._runtimes.values()), key=lambda m: m.launched_at)

    def get(self, instance_id: str) -> Machine | None:
        """One machine, or None when there is none."""
        runtime = self._runtimes.get(instance_id)
        return runtime.machine if runtime is not None else None

    def sandbox(self, instance_id: str) -> Sandbox:
        """The machine's files."""
        return self._runtimes[instance_id].sandbox

    def pid(self, instance_id: str) -> int | None:
        """The first process, while the machine runs."""
        process = self._runtimes[instance_id].process
        return process.pid if process is not None else None

    def online_since(self, instance_id: str) -> datetime | None:
        """When the machine's SSM agent came online; None before, and after its end."""
        runtime = self._runtimes.get(instance_id)
        return runtime.online_since if runtime is not None else None

    def lost_at(self, instance_id: str) -> datetime | None:
        """When a machine died of which EC2 still says that it runs."""
        return self._runtimes[instance_id].lost_at

    def launch(self, machine: Machine) -> None:
        """Start a new instance: pending at once, running after the boot delay."""
        runtime = self._runtimes[machine.instance_id] = _Runtime(machine, self._sandbox(machine.instance_id))
        self._lend_public_address(machine)
        self._move(runtime, State.PENDING, machine.state_reason, "")
        self._start_boot(runtime, self._boot_delay_s)

    def start(self, machine: Machine) -> None:
        """Start a stopped instance again. Its launch time is that of the last start then (EC2 API Reference,
        `Instance`)."""
        runtime = self._runtimes[machine.instance_id]
        machine.launched_at = now().isoformat()
        runtime.end_asked = asyncio.Event()
        self._lend_public_address(machine)
        self._move(runtime, State.PENDING, None, "")
        self._start_boot(runtime, self._boot_delay_s)

    def _lend_public_address(self, machine: Machine) -> None:
        if machine.is_public:
            self._lent += 1
            machine.public_ip = address_in(PUBLIC_NETWORK, self._lent)

    def save(self, machine: Machine) -> None:
        """Keep a change that was made to the record."""
        machine.save(self._runtimes[machine.instance_id].sandbox.directory)

    def terminate(self, machine: Machine, reason: StateReason = USER_SHUTDOWN, *, by: str = "User initiated") -> None:
        """End an instance for good; one that is ending already keeps its reason."""
        if not machine.is_ended:
            self._end(machine, State.SHUTTING_DOWN, State.TERMINATED, reason, by, SHUTDOWN_GRACE_S)

    def stop(self, machine: Machine, reason: StateReason = USER_SHUTDOWN, *, by: str = "User initiated") -> None:
        """Stop an instance; its disk stays."""
        self._end(machine, State.STOPPING, State.STOPPED, reason, by, SHUTDOWN_GRACE_S)

    def reboot(self, machine: Machine) -> None:
        """Restart an instance's processes; EC2 tells nothing of it."""
        self._spawn(self._reboot(self._runtimes[machine.instance_id]))

    def kill(self, machine: Machine, *, silent: bool) -> None:
        """Let the host of an instance fail: every process is gone at once, and nothing in it was asked.

        `silent`: EC2 does not notice, and says running for ever.
        """
        if not silent:
            self._end(machine, State.SHUTTING_DOWN, State.TERMINATED, HOST_FAILED, "Server initiated", 0.0)
            return
        runtime = self._runtimes[machine.instance_id]
        runtime.lost_at = now()
        process, runtime.process = runtime.process, None
        if process is not None:
            self._spawn(process.halt(0.0))

    def run(self, instance_id: str, command_id: str, request: dict[str, Any], listener: MessageHandler) -> None:
        """Run a command in the machine; `listener` hears of its start and its end.

        A machine that died silently takes it and never answers.
        """
        runtime = self._runtimes[instance_id]
        runtime.listeners[command_id] = listener
        if runtime.process is not None:
            runtime.process.send({"do": "run", "id": command_id, **request})

    def cancel(self, instance_id: str, command_id: str) -> None:
        """Kill a command that runs."""
        process = self._runtimes[instance_id].process
        if process is not None:
            process.send({"do": "cancel", "id": command_id})

    def _sandbox(self, instance_id: str) -> Sandbox:
        return Sandbox(instance_id, self._directory / instance_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a machine could not be kept", exc_info=error)

    def _move(self, runtime: _Runtime, state: State, reason: StateReason | None, by: str) -> None:
        machine = runtime.machine
        moment = now()
        machine.state, machine.state_reason = state, reason
        if state in (State.STOPPED, State.TERMINATED):
            machine.public_ip = None  # released then (EC2 User Guide, "Amazon EC2 instance IP addressing")
        machine.transitioned_at = moment.isoformat()
        machine.transition_reason = f"{by} ({moment:%Y-%m-%d %H:%M:%S} GMT)" if by else ""
        machine.save(runtime.sandbox.directory)
        self._events.state_changed(machine)

    def _start_boot(self, runtime: _Runtime, delay_s: float) -> None:
        runtime.boot = self._spawn(self._boot(runtime, delay_s))

    async def _boot(self, runtime: _Runtime, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runtime.end_asked.wait(), delay_s)
        if runtime.end_asked.is_set():
            return
        try:
            process = await self._start_process(runtime)
        except OSError:
            _log.exception("%s could not be started", runtime.machine.instance_id)
            self._end(runtime.machine, State.SHUTTING_DOWN, State.TERMINATED, LAUNCH_FAILED, "Server initiated", 0.0)
            return
        if runtime.end_asked.is_set():
            await process.halt(0.0)
            return
        runtime.process = process
        self._move(runtime, State.RUNNING, None, "")
        self._go_online(runtime, process)

    async def _start_process(self, runtime: _Runtime) -> MachineProcess:
        runtime.sandbox.create()
        environment = runtime.sandbox.environment(endpoint_url=self._endpoint_url, region=self._region)
        return await MachineProcess.start(runtime.sandbox, environment, lambda message: self._heard(runtime, message))

    def _go_online(self, runtime: _Runtime, process: MachineProcess) -> None:
        """The SSM agent first, then the user data: what the user data announces can be used at once."""
        runtime.online_since = now()
        self._spawn(self._watch(runtime, process))
        if not runtime.machine.first_booted:
            runtime.machine.first_booted = True
            runtime.machine.save(runtime.sandbox.directory)
            self._run_user_data(runtime, process)

    def _run_user_data(self, runtime: _Runtime, process: MachineProcess) -> None:
        if not runtime.machine.user_data:
            return
        script = base64.b64decode(runtime.machine.user_data)
        console = runtime.sandbox.console
        if not script.startswith(b"#!"):
            with console.open("a") as file:
                file.write("cloud-init: only user data that starts with #! is run in runctl's local cloud\n")
            return
        file = runtime.sandbox.directory / "user-data"
        file.write_bytes(script)
        file.chmod(0o700)
        home = runtime.sandbox.home
        request = {"argv": [str(file)], "cwd": str(home), "stdout": str(console), "stderr": str(console)}
        process.send({"do": "run", "id": USER_DATA_COMMAND, **request})

    def _heard(self, runtime: _Runtime, message: dict[str, Any]) -> None:
        if message["event"] == "halted" and message["left"]:
            _log.error("%s: processes %s would not end", runtime.machine.instance_id, message["left"])
        if runtime.process is None:  # booting, or ending: an agent that goes down with its machine reports nothing
            return
        match message["event"]:
            case "asked" if runtime.machine.state is State.RUNNING:
                self._shut_down_from_inside(runtime, message["what"])
            case "started" if message["id"] in runtime.listeners:
                runtime.listeners[message["id"]](message)
            case "exited" if message["id"] in runtime.listeners:
                runtime.listeners.pop(message["id"])(message)
            case "exited" if message["id"] == USER_DATA_COMMAND:
                with runtime.sandbox.console.open("a") as console:
                    console.write(f"cloud-init: user data ended with exit code {message['code']}\n")
            case _:
                pass

    def _shut_down_from_inside(self, runtime: _Runtime, what: str) -> None:
        machine = runtime.machine
        if what == "reboot":
            self.reboot(machine)
        elif machine.is_spot or machine.terminates_on_shutdown:
            self.terminate(machine, INSTANCE_SHUTDOWN, by="Instance initiated")
        else:
            self.stop(machine, INSTANCE_SHUTDOWN, by="Instance initiated")

    async def _watch(self, runtime: _Runtime, process: MachineProcess) -> None:
        """A first process that ends without being asked to is a host that failed."""
        await process.wait()
        if runtime.process is process:
            runtime.process = None
            await process.halt(0.0)
            if not runtime.end_asked.is_set():
                self._end(runtime.machine, State.SHUTTING_DOWN, State.TERMINATED, HOST_FAILED, "Server initiated", 0.0)

    async def _reboot(self, runtime: _Runtime) -> None:
        process, runtime.process, runtime.online_since = runtime.process, None, None
        if process is not None:
            await process.halt(SHUTDOWN_GRACE_S)
        if not runtime.end_asked.is_set():
            runtime.process = await self._start_process(runtime)
            self._go_online(runtime, runtime.process)

    def _end(
        self, machine: Machine, on_the_way: State, at_last: State, reason: StateReason, by: str, grace_s: float
    ) -> None:
        runtime = self._runtimes[machine.instance_id]
        runtime.end_asked.set()
        process, runtime.process, runtime.online_since = runtime.process, None, None
        if at_last is State.TERMINATED:
            machine.close_spot_request(reason, now())
        self._move(runtime, on_the_way, reason, by)
        self._spawn(self._finish(runtime, process, on_the_way, at_last, grace_s))

    async def _finish(
        self, runtime: _Runtime, process: MachineProcess | None, on_the_way: State, at_last: State, grace_s: float
    ) -> None:
        if runtime.boot is not None and runtime.boot is not asyncio.current_task():
            await asyncio.wait({runtime.boot})
        if process is not None:
            await process.halt(grace_s)
        machine = runtime.machine
        if machine.state is not on_the_way:  # stopping, and then terminated meanwhile
            return
        reason, by = machine.state_reason, machine.transition_reason.split(" (")[0]
        if at_last is State.TERMINATED:
            await asyncio.to_thread(runtime.sandbox.remove_disk)
        self._move(runtime, at_last, reason, by)
