"""The scratch folder lies on the machine's instance store; nothing is formatted that is anybody's."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent.instance_store import (
    ARRAY,
    LABEL,
    MODEL,
    Blank,
    InstanceStore,
    Mounted,
    Ours,
    find_store,
    make_commands,
    mount_command,
)
from runctl.agent.layout import AttemptFolder
from runctl.agent.run_log import RunLog

EBS = "Amazon Elastic Block Store"


def _disk(path: str, **facts: Any) -> dict[str, Any]:
    """A row as `lsblk --json` writes it (util-linux 2.37)."""
    blank: dict[str, Any] = {
        "path": path,
        "type": "disk",
        "model": MODEL,
        "ro": False,
        "size": 950_000_000_000,
        "fstype": None,
        "pttype": None,
        "label": None,
        "mountpoints": [None],
    }
    return blank | facts


ROOT = _disk(
    "/dev/nvme0n1",
    model=EBS,
    pttype="gpt",
    children=[_disk("/dev/nvme0n1p1", type="part", model=None, fstype="xfs", label="/", mountpoints=["/"])],
)
DLAMI = _disk(
    "/dev/nvme1n1",
    fstype="LVM2_member",
    children=[
        _disk("/dev/mapper/vg.01-lv_ephemeral", type="lvm", model=None, fstype="ext4", mountpoints=["/opt/dlami/nvme"])
    ],
)
OUR_ARRAY = _disk("/dev/md127", type="raid0", model=None, fstype="xfs", label=LABEL)
STORES = [
    ([ROOT], None),
    ([ROOT, _disk("/dev/nvme1n1")], Blank(("/dev/nvme1n1",))),
    ([ROOT, _disk("/dev/nvme2n1"), _disk("/dev/nvme1n1")], Blank(("/dev/nvme1n1", "/dev/nvme2n1"))),
    ([ROOT, _disk("/dev/nvme1n1", model=f"{MODEL}  ")], Blank(("/dev/nvme1n1",))),
    ([ROOT, DLAMI], Mounted(Path("/opt/dlami/nvme"))),
    ([ROOT, _disk("/dev/nvme1n1", fstype="xfs", label=LABEL)], Ours("/dev/nvme1n1")),
    (
        [ROOT, _disk("/dev/nvme1n1", fstype="linux_raid_member", children=[OUR_ARRAY])],
        Ours("/dev/md127"),
    ),
    ([ROOT, _disk("/dev/nvme1n1", model=EBS)], None),
    ([ROOT, _disk("/dev/nvme1n1", model=None)], None),
    ([ROOT, _disk("/dev/nvme1n1", fstype="xfs")], None),
    ([ROOT, _disk("/dev/nvme1n1", pttype="gpt")], None),
    ([ROOT, _disk("/dev/nvme1n1", children=[_disk("/dev/nvme1n1p1", type="part")])], None),
    ([ROOT, _disk("/dev/nvme1n1", ro=True)], None),
    ([ROOT, _disk("/dev/nvme1n1", size=0)], None),
    ([ROOT, _disk("/dev/nvme1n1", fstype="swap", mountpoints=["[SWAP]"])], None),
    ([ROOT, _disk("/dev/nvme1n1", fstype="xfs", mountpoints=["/var/lib/docker"])], None),
]


@pytest.mark.parametrize(("devices", "found"), STORES)
def test_store_is_what_the_image_mounted_or_what_is_blank(
    devices: list[dict[str, Any]], found: Mounted | Ours | Blank | None
) -> None:
    assert find_store(devices) == found


_FACTS = st.fixed_dictionaries(
    {
        "model": st.sampled_from([MODEL, EBS, None, ""]),
        "type": st.sampled_from(["disk", "loop", "rom"]),
        "fstype": st.sampled_from([None, None, "xfs", "LVM2_member"]),
        "pttype": st.sampled_from([None, None, "gpt", "dos"]),
        "label": st.sampled_from([None, None, "/", "data"]),
        "ro": st.sampled_from([False, False, True]),
        "size": st.sampled_from([0, 10**12]),
        "mountpoints": st.sampled_from([[None], [], ["/"], ["/data"], ["[SWAP]"]]),
        "children": st.sampled_from([[], [], [_disk("/dev/part", type="part")]]),
    }
)


@given(st.lists(_FACTS, max_size=6))
def test_nothing_is_formatted_that_is_not_blank_and_instance_store(rows: list[dict[str, Any]]) -> None:
    devices = [_disk(f"/dev/nvme{number}n1", **facts) for number, facts in enumerate(rows)]

    found = find_store(devices)

    if isinstance(found, Blank):
        by_path = {one["path"]: one for one in devices}
        for disk in (by_path[path] for path in found.disks):
            assert (disk["type"], disk["model"], disk["ro"]) == ("disk", MODEL, False)
            assert not any([disk["fstype"], disk["pttype"], disk["label"], disk["children"], *disk["mountpoints"]])


def _has(*names: str) -> Callable[[str], str | None]:
    return lambda name: f"/usr/sbin/{name}" if name in names else None


def test_one_disk_becomes_a_file_system() -> None:
    assert make_commands(["/dev/nvme1n1"], _has("mkfs.xfs")) == (
        ("mkfs.xfs", "-q", "-K", "-L", "runctl", "/dev/nvme1n1"),
    )
    assert make_commands(["/dev/nvme1n1"], _has()) == (
        ("mkfs.ext4", "-q", "-E", "nodiscard", "-L", "runctl", "/dev/nvme1n1"),
    )


@pytest.mark.parametrize(
    ("tools", "install"),
    [
        (("mdadm", "mkfs.xfs"), ()),
        (("dnf", "mkfs.xfs"), (("dnf", "install", "--assumeyes", "--quiet", "mdadm"),)),
    ],
)
def test_several_disks_are_striped(tools: tuple[str, ...], install: tuple[tuple[str, ...], ...]) -> None:
    stripes = ("mdadm", "--create", ARRAY, "--level=0", "--raid-devices=2", "--name=runctl", "--run")

    assert make_commands(["/dev/a", "/dev/b"], _has(*tools)) == (
        *install,
        (*stripes, "/dev/a", "/dev/b"),
        ("mkfs.xfs", "-q", "-K", "-L", "runctl", ARRAY),
    )


class Machine:
    """A machine whose tools are stand-ins that note how they were called."""

    def __init__(self, root: Path, devices: list[dict[str, Any]]) -> None:
        self.calls = root / "calls"
        self.bin = root / "bin"
        self.bin.mkdir()
        self.folder = AttemptFolder(root / "runs" / "r-1" / "attempt-2")
        self.folder.create()
        self.log = RunLog(root / "training.log")
        (root / "devices.json").write_text(json.dumps({"blockdevices": devices}))
        self.tool("lsblk", f"cat {root}/devices.json")
        for name in ("wipefs", "mdadm", "mkfs.xfs", "mount"):
            self.tool(name, "exit 0")
        self.store = InstanceStore(root, user_id=lambda: 0)

    def tool(self, name: str, does: str) -> None:
        """Lay a stand-in down."""
        file = self.bin / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n{does}\n')
        file.chmod(0o755)

    def give(self) -> list[str]:
        """Let the attempt have its folder; answers what was called but for looking."""
        self.store.give(self.folder, self.log, lambda: False)
        called = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [call for call in called if not call.startswith(("lsblk", "wipefs"))]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    def make(*devices: dict[str, Any]) -> Machine:
        made = Machine(tmp_path, list(devices))
        monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.defpath}")
        monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", raising=False)
        return made

    return make


def test_blank_disks_are_made_ready_and_hold_the_folder(machine: Callable[..., Machine], tmp_path: Path) -> None:
    here = machine(ROOT, _disk("/dev/nvme1n1"), _disk("/dev/nvme2n1"))

    called = here.give()

    commands = [*make_commands(["/dev/nvme1n1", "/dev/nvme2n1"], lambda name: name)]
    commands.append(mount_command(ARRAY, tmp_path / "instance-store"))
    assert called == [" ".join(command) for command in commands]
    assert here.folder.scratch.resolve() == tmp_path / "instance-store" / "runctl" / "r-1" / "attempt-2"
    assert list(here.folder.scratch.iterdir()) == []
    assert "on the instance store" in here.log.path.read_text()


def test_store_that_the_image_mounted_is_used_as_it_is(machine: Callable[..., Machine], tmp_path: Path) -> None:
    (tmp_path / "dlami").mkdir()
    here = machine(ROOT, _disk("/dev/nvme1n1", fstype="ext4", mountpoints=[str(tmp_path / "dlami")]))

    called = here.give()

    assert called == []
    assert here.folder.scratch.resolve().is_relative_to(tmp_path / "dlami")


def test_own_store_is_mounted_again_after_a_restart_of_the_machine(
    machine: Callable[..., Machine], tmp_path: Path
) -> None:
    here = machine(ROOT, _disk("/dev/nvme1n1", fstype="xfs", label=LABEL))

    assert here.give() == [" ".join(mount_command("/dev/nvme1n1", tmp_path / "instance-store"))]


def test_disk_that_turns_out_not_to_be_empty_is_left_alone(machine: Callable[..., Machine]) -> None:
    here = machine(ROOT, _disk("/dev/nvme1n1"))
    here.tool("wipefs", "echo '# offset,uuid,label,type'; echo '0x438,9f,data,ext4'")

    called = here.give()

    assert called == []
    assert here.folder.scratch.is_dir() and not here.folder.scratch.is_symlink()
    assert "/dev/nvme1n1 is not empty" in here.log.path.read_text()


@pytest.mark.parametrize("tool", ["lsblk", "wipefs", "mkfs.xfs", "mount"])
def test_store_that_cannot_be_had_keeps_nothing_from_running(machine: Callable[..., Machine], tool: str) -> None:
    here = machine(ROOT, _disk("/dev/nvme1n1"))
    here.tool(tool, "exit 1")

    here.give()

    assert here.folder.scratch.is_dir() and not here.folder.scratch.is_symlink()
    assert "the instance store is not used" in here.log.path.read_text()


def test_nothing_is_touched_on_a_machine_that_is_somebodys_own(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = machine(ROOT, _disk("/dev/nvme1n1"))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")

    assert here.give() == []
    assert not here.calls.exists()


def test_agent_that_starts_again_finds_the_folder_where_it_was(machine: Callable[..., Machine]) -> None:
    here = machine(ROOT, _disk("/dev/nvme1n1"))
    here.give()
    before = here.folder.scratch.resolve()
    here.calls.unlink()

    here.folder.create()

    assert here.give() == []
    assert here.folder.scratch.resolve() == before


def test_attempt_whose_store_went_with_a_restart_of_the_machine_can_still_tell(machine: Callable[..., Machine]) -> None:
    here = machine(ROOT, _disk("/dev/nvme1n1"))
    here.give()
    here.folder.scratch.resolve().rmdir()

    here.folder.create()

    assert here.folder.scratch.is_symlink()
