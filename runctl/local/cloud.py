"""The cloud on one machine, as the command line and the tests drive it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runctl.assembly import DEFAULT_DIRECTORY, load_assembly
from runctl.local.errors import LocalCloudDown
from runctl.local.faults import Faults
from runctl.local.record import CloudRecord
from runctl.local.server_process import LOG_FILE, end, only_one, resident_mib, start

Say = Callable[[str], None]

MACHINES_FOLDER = "machines"
"""Of the state folder: a folder for each machine."""


@dataclass(frozen=True)
class CloudStatus:
    """What a local cloud is doing."""

    is_up: bool
    endpoint_url: str | None = None
    pid: int | None = None
    started_at: float | None = None
    """Seconds since the epoch."""
    stack_status: str | None = None
    """CloudFormation's word; None when nothing is deployed."""
    resident_mib: float | None = None
    """Memory of the server, its functions and its machines together."""


@dataclass(frozen=True)
class LocalShell:
    """How a shell on a machine is begun."""

    command: tuple[str, ...]
    folder: Path
    environment: dict[str, str]


class LocalCloud:
    """One local cloud, whose state lies in `directory`. It runs in a process of its own and outlives this object."""

    def __init__(self, directory: Path, *, assembly_dir: Path = DEFAULT_DIRECTORY) -> None:
        self._directory = directory.absolute()
        self._assembly_dir = assembly_dir

    @property
    def log_path(self) -> Path:
        """Where the server writes its log."""
        return self._directory / LOG_FILE

    def up(self, *, port: int | None = None, boot_delay_s: float = 0.0, say: Say) -> CloudStatus:
        """Start the server if it does not run, deploy the assembly if it is not deployed; answer with what runs.

        `port`: the last one or a free one when not given. `boot_delay_s`: how long a machine is pending. Raises
        `AssemblyMissing`, `DependenciesNotInstalled`, `ServerDidNotStart`, `DeploymentFailed`; after a failed
        deployment the server stays up, so that it can be looked at.
        """
        from runctl.local.deployer import Deployer
        from runctl.local.functions_archive import default_cache, for_this_machine

        assembly = for_this_machine(load_assembly(self._assembly_dir), default_cache(), say)
        with only_one(self._directory):
            record = self._running()
            if record is None:
                record = start(self._directory, port=port or 0, boot_delay_s=boot_delay_s)
                say(f"Started the local cloud at {record.endpoint_url} (process {record.pid}).")
            else:
                say(f"The local cloud is up at {record.endpoint_url} (process {record.pid}).")
                if port not in (None, record.port) or boot_delay_s != record.boot_delay_s:
                    say("It keeps its port and boot delay; `runctl local down` first to change them.")
            if not Deployer(_environment(record)).deploy(assembly, say):
                say("The stack is deployed and has not changed.")
        return self.status()

    def down(self, *, say: Say) -> bool:
        """End the server, its functions and its machines; False when it did not run."""
        with only_one(self._directory):
            record = CloudRecord.load(self._directory)
            process = None if record is None else record.process()
            if process is not None:
                end(process)
            CloudRecord.remove(self._directory)
        say("The local cloud is down." if process is not None else "The local cloud was not up.")
        return process is not None

    def status(self) -> CloudStatus:
        """Whether it is up, and what it holds."""
        record = CloudRecord.load(self._directory)
        process = None if record is None else record.process()
        if record is None or process is None:
            return CloudStatus(is_up=False)
        from runctl.local.deployer import Deployer

        return CloudStatus(
            is_up=True,
            endpoint_url=record.endpoint_url,
            pid=record.pid,
            started_at=record.started_at,
            stack_status=Deployer(_environment(record)).stack_status(),
            resident_mib=resident_mib(process),
        )

    def environment(self) -> dict[str, str]:
        """Variables with which the AWS CLI and every SDK reach this cloud. Raises `LocalCloudDown`."""
        return _environment(self._require_running())

    def shell(self, instance_id: str, folder: str) -> LocalShell:
        """Say how a shell among a machine's processes is begun, which ends when the machine does: in this folder of
        `RUNCTL_ROOT`, or the machine's home where there is none. Raises `LocalCloudDown`."""
        from runctl.local.emulator.settings import REGION
        from runctl.local.machines.sandbox import Sandbox

        record = self._require_running()
        sandbox = Sandbox(instance_id, self._directory / MACHINES_FOLDER / instance_id)
        wanted = sandbox.root / folder
        return LocalShell(
            command=(shutil.which("bash") or "/bin/sh", "-i"),
            folder=wanted if wanted.is_dir() else sandbox.home,
            environment={
                **sandbox.environment(endpoint_url=record.endpoint_url, region=REGION),
                "TERM": os.environ.get("TERM", "dumb"),
            },
        )

    def interrupt(self, instance_id: str, notice_s: float) -> dict[str, Any]:
        """Warn a spot machine and take it back after `notice_s`. Raises `LocalCloudDown`, `NotFoundError`,
        `FaultRefused`."""
        return self._faults().interrupt(instance_id, notice_s)

    def kill(self, instance_id: str, silent: bool = False) -> dict[str, Any]:
        """Let a machine's host fail; `silent`: EC2 goes on to say running. Raises as `interrupt` does."""
        return self._faults().kill(instance_id, silent=silent)

    def no_capacity(self, pools: Sequence[str], for_s: float) -> dict[str, Any]:
        """Empty capacity pools for a while. Raises as `interrupt` does."""
        return self._faults().no_capacity(pools, for_s)

    def _faults(self) -> Faults:
        return Faults(self._require_running().endpoint_url)

    def _running(self) -> CloudRecord | None:
        record = CloudRecord.load(self._directory)
        return record if record is not None and record.process() is not None else None

    def _require_running(self) -> CloudRecord:
        record = self._running()
        if record is None:
            raise LocalCloudDown("The local target is not up.", hint="Start it with `runctl local up`.")
        return record


def _environment(record: CloudRecord) -> dict[str, str]:
    from runctl.local.emulator.settings import ACCOUNT_ID, REGION, SECRET_ACCESS_KEY

    return {
        "AWS_ENDPOINT_URL": record.endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCOUNT_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
