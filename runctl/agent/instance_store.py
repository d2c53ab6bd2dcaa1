"""Puts the folder for what may be lost with the machine on its instance store: NVMe disks that some types bring.

The image may have mounted them already, as the Deep Learning AMIs do below /opt/dlami/nvme; then that is used. A disk
is formatted only when nothing at all is on it. Whatever does not work out, the folder stays where the rest of the
attempt is: that it could be faster is no reason for a run to fail.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runctl.agent.environment import machine_environment
from runctl.agent.layout import AttemptFolder
from runctl.agent.run_log import RunLog
from runctl.agent.setup_command import run_setup_command
from runctl.agent.setup_error import SetupError

MODEL: Final = "Amazon EC2 NVMe Instance Storage"
"""What such a disk calls itself; an EBS volume is "Amazon Elastic Block Store" (EC2 User Guide, "Identify the devices
of EBS volumes", "SSD instance store volumes")."""

LABEL: Final = "runctl"
"""Of our own file systems; XFS allows twelve characters."""

ARRAY: Final = "/dev/md/runctl"
LIST: Final = (
    *("lsblk", "--json", "--bytes"),
    *("--output", "PATH,TYPE,MODEL,RO,SIZE,FSTYPE,PTTYPE,LABEL,MOUNTPOINTS"),
)
_LOOK_LIMIT_S: Final = 30.0
_SYSTEMS_OWN: Final = ("/boot", "/efi", "/usr", "/var", "/etc")


@dataclass(frozen=True)
class Mounted:
    """A store that is mounted already: by the image, or by an earlier attempt on a machine that is kept."""

    at: Path


@dataclass(frozen=True)
class Ours:
    """A store that we made, and that is not mounted any more: the machine was restarted."""

    device: str


@dataclass(frozen=True)
class Blank:
    """Disks with nothing on them."""

    disks: tuple[str, ...]


def find_store(devices: Sequence[dict[str, Any]]) -> Mounted | Ours | Blank | None:
    """What is to be used of the block devices that `lsblk` lists; None when there is no instance store, or it is
    somebody's and not for us to touch."""
    disks = [one for one in devices if one.get("type") == "disk" and (one.get("model") or "").strip() == MODEL]
    every = [part for disk in disks for part in _tree(disk)]
    mounted = [at for part in every for at in part.get("mountpoints") or () if at and _is_for_data(at)]
    if mounted:
        return Mounted(Path(mounted[0]))
    ours = [part["path"] for part in every if part.get("label") == LABEL and not any(part.get("mountpoints") or ())]
    if ours:
        return Ours(ours[0])
    blank = tuple(sorted({disk["path"] for disk in disks if _is_blank(disk)}))
    return Blank(blank) if blank else None


def _tree(device: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield device
    for child in device.get("children") or ():
        yield from _tree(child)


def _is_for_data(at: str) -> bool:
    """Whether a file system that is mounted there is one for data: neither the system's own nor swap."""
    return at.startswith("/") and at != "/" and not at.startswith(_SYSTEMS_OWN)


def _is_blank(disk: dict[str, Any]) -> bool:
    return (
        not any(disk.get("mountpoints") or ())
        and not any(disk.get(fact) for fact in ("children", "fstype", "pttype", "label", "ro"))
        and int(disk.get("size") or 0) > 0
    )


def make_commands(disks: Sequence[str], which: Callable[[str], str | None]) -> tuple[tuple[str, ...], ...]:
    """The commands that make one file system of blank disks, without discarding first, which takes minutes on some
    types. Several become one by striping (EC2 User Guide, "RAID configuration")."""
    device, commands = disks[0], list[tuple[str, ...]]()
    if len(disks) > 1:
        device = ARRAY
        if which("mdadm") is None:
            commands.append(_install_mdadm(which))
        stripes = ("--level=0", f"--raid-devices={len(disks)}", "--name=runctl", "--run")
        commands.append(("mdadm", "--create", ARRAY, *stripes, *disks))
    if which("mkfs.xfs") is not None:
        commands.append(("mkfs.xfs", "-q", "-K", "-L", LABEL, device))
    else:
        commands.append(("mkfs.ext4", "-q", "-E", "nodiscard", "-L", LABEL, device))
    return tuple(commands)


def _install_mdadm(which: Callable[[str], str | None]) -> tuple[str, ...]:
    if which("dnf") is not None:
        return ("dnf", "install", "--assumeyes", "--quiet", "mdadm")
    if which("apt-get") is not None:
        return ("sh", "-c", "apt-get update -q && apt-get install -y -q --no-install-recommends mdadm")
    raise SetupError("there is no mdadm, and neither dnf nor apt-get to install it")


def mount_command(device: str, at: Path) -> tuple[str, ...]:
    """The command that mounts it."""
    return ("mount", "-o", "noatime", device, str(at))


class InstanceStore:
    """This machine's."""

    def __init__(
        self,
        machine_root: Path,
        which: Callable[[str], str | None] = shutil.which,
        user_id: Callable[[], int] = os.geteuid,
    ) -> None:
        self._at = machine_root / "instance-store"
        self._which = which
        self._user_id = user_id

    def give(self, folder: AttemptFolder, log: RunLog, cancelled: Callable[[], bool]) -> None:
        """Let the attempt's scratch folder lie there, when there is one. Raises SetupCancelledError."""
        if folder.scratch.is_symlink() or not self._is_ec2s():
            return
        try:
            at = self._mounted(log, cancelled)
            if at is None:
                return
            place = at / "runctl" / folder.path.parent.name / folder.path.name
            place.mkdir(parents=True, exist_ok=True)
            size = shutil.disk_usage(place).free / 1e9
            folder.scratch.rmdir()
            folder.scratch.symlink_to(place, target_is_directory=True)
        except (OSError, SetupError, ValueError, LookupError) as error:
            folder.scratch.mkdir(exist_ok=True)
            log.say(f"the instance store is not used: {error}")
        else:
            log.say(f"the scratch folder is on the instance store at {at} ({size:,.0f} GB free)")

    def _is_ec2s(self) -> bool:
        """Whether this is a machine of EC2 that is ours to change; where the metadata are not EC2's, it is somebody's
        own."""
        is_somebodys = "AWS_EC2_METADATA_SERVICE_ENDPOINT" in os.environ
        return not is_somebodys and self._user_id() == 0 and self._which("lsblk") is not None

    def _mounted(self, log: RunLog, cancelled: Callable[[], bool]) -> Path | None:
        match find_store(self._devices()):
            case None:
                return None
            case Mounted(at):
                return at
            case Ours(device):
                pass
            case Blank(disks):
                for disk in disks:
                    if self._signatures(disk):
                        raise OSError(f"{disk} is not empty")
                for command in make_commands(disks, self._which):
                    self._run(command, log, cancelled)
                device = disks[0] if len(disks) == 1 else ARRAY
        self._at.mkdir(exist_ok=True)
        self._run(mount_command(device, self._at), log, cancelled)
        return self._at

    def _devices(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._ask(*LIST))["blockdevices"]
        return found

    def _signatures(self, disk: str) -> bool:
        """Whether anything is on a disk after all: `lsblk` tells what udev knows, this reads the disk (wipefs(8))."""
        return any(line and not line.startswith("#") for line in self._ask("wipefs", "--parsable", disk).splitlines())

    def _ask(self, *command: str) -> str:
        try:
            return subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=_LOOK_LIMIT_S, stdin=subprocess.DEVNULL
            ).stdout
        except subprocess.SubprocessError as error:
            raise OSError(f"{command[0]} did not answer: {error}") from error

    def _run(self, command: Sequence[str], log: RunLog, cancelled: Callable[[], bool]) -> None:
        run_setup_command(
            command, name=command[0], log=log, cancelled=cancelled, environment=machine_environment(os.environ)
        )
