"""An attempt leaves its packages to the next one, which installs without asking an index, or as usual."""

import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from runctl.agent import package_keeping, package_pack
from runctl.agent.installing import install
from runctl.agent.job import Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.note import Note
from runctl.agent.package_cache import content_of
from runctl.agent.package_keeping import Installed, PackageKeeping
from runctl.agent.packages import Packages, PackagesKind, find_packages
from runctl.agent.run_log import RunLog
from runctl.agent.setup_error import SetupCancelledError
from runctl.model.packages import PackagesListing
from tests.agent.factories import RUN_ID, job
from tests.agent.fakes import FakeLinks, MemoryStore, Sayings

CONTENT = "c0" * 32
AT = "packages/AROAEXAMPLE:i-1/r-0123456789ab/0001/"
UV = 'echo "uv $1 ${UV_OFFLINE:-asks} $UV_CACHE_DIR"'


class Machine:
    """A machine with a `uv` of its own, and a project with requirements."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tools = root / "tools"
        self.folder = AttemptFolder(root / "attempt")
        self.folder.code.mkdir(parents=True)
        (self.folder.code / "requirements.txt").write_text("kites\n")
        self.log = RunLog(root / "training.log")
        self.store = MemoryStore()
        self.programs = root / "bin"
        self.programs.mkdir()
        self.uv(UV)
        monkeypatch.setenv("PATH", f"{self.programs}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("UV_CACHE_DIR", raising=False)

    def uv(self, text: str) -> None:
        (self.programs / "uv").write_text(f"#!/bin/sh\n{text}\n")
        (self.programs / "uv").chmod(0o755)

    @property
    def packages(self) -> Packages | None:
        return find_packages(self.folder.code, "train.py")

    @property
    def content(self) -> str:
        assert self.packages is not None
        return content_of(self.packages, self.folder.code, with_pip=False)

    def install(
        self, handed: Job, contents: Mapping[str, bytes], cancelled: Callable[[], bool] = lambda: False
    ) -> Installed | None:
        links = FakeLinks(dict(contents))
        _, installed = install(handed, self.folder, self.tools, self.packages, links, self.log, cancelled)
        return installed

    def said(self) -> str:
        return self.log.path.read_text()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def _pieces(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Pack files as an agent does, into pieces of a few bytes."""
    source, target = folder / "source", folder / "pieces"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    target.mkdir()
    package_pack.pack(source, ("cache", "python", "bin/uv"), target, 100, 1_000_000)
    return sorted(target.iterdir())


def _handed(pieces: list[Path], content: str) -> tuple[Job, dict[str, bytes]]:
    files = [
        {
            "path": each.name,
            "bytes": each.stat().st_size,
            "sha256": sha256(each.read_bytes()).hexdigest(),
            "url": f"https://s3/{each.name}",
        }
        for each in pieces
    ]
    return job(kept_packages={"content": content, "files": files}), {
        f"https://s3/{each.name}": each.read_bytes() for each in pieces
    }


def test_packages_of_an_earlier_attempt_are_installed_without_an_index(machine: Machine, tmp_path: Path) -> None:
    pieces = _pieces(tmp_path, {f"cache/wheel-{number}": "w" * 90 for number in range(30)})
    handed, contents = _handed(pieces, machine.content)

    installed = machine.install(handed, contents)

    assert len(pieces) > 1
    assert installed is None
    assert (machine.tools / "cache" / "wheel-29").read_text() == "w" * 90
    assert f"uv pip 1 {machine.tools / 'cache'}" in machine.said()
    assert "asks" not in machine.said()
    assert "no index was asked" in machine.said()
    assert not machine.folder.packages.exists()


def test_first_attempt_asks_and_may_leave_what_it_installed(machine: Machine) -> None:
    installed = machine.install(job(), {})

    assert installed is not None
    assert installed.content == machine.content
    assert f"uv pip asks {machine.tools / 'cache'}" in machine.said()


def test_packages_of_other_requirements_are_left_alone(machine: Machine, tmp_path: Path) -> None:
    handed, contents = _handed(_pieces(tmp_path, {"cache/wheel": "w"}), CONTENT)

    installed = machine.install(handed, contents)

    assert installed is not None
    assert not (machine.tools / "cache").exists()


def test_damaged_packages_are_installed_anew(machine: Machine, tmp_path: Path) -> None:
    handed, contents = _handed(_pieces(tmp_path, {"cache/wheel": "w"}), machine.content)

    installed = machine.install(handed, dict.fromkeys(contents, b"else"))

    assert installed is not None
    assert "0000 is damaged" in machine.said()
    assert "installing them anew" in machine.said()
    assert "uv pip asks" in machine.said()


def test_packages_that_do_not_suffice_are_installed_anew(machine: Machine, tmp_path: Path) -> None:
    machine.uv(UV + '\n[ -z "$UV_OFFLINE" ]')
    handed, contents = _handed(_pieces(tmp_path, {"cache/wheel": "w"}), machine.content)

    installed = machine.install(handed, contents)

    assert installed is not None
    assert "cannot be used: uv venv ended with exit code 1; installing them anew" in machine.said()
    assert "uv pip asks" in machine.said()


@pytest.mark.parametrize(
    ("name", "kind", "leads_to"),
    [
        ("cache/link", tarfile.SYMTYPE, "../../evil"),
        ("cache/link", tarfile.SYMTYPE, "/tmp/evil-of-packages"),
        ("cache/link", tarfile.LNKTYPE, "../../evil"),
        ("../evil", tarfile.REGTYPE, ""),
        ("cache/device", tarfile.CHRTYPE, ""),
    ],
)
def test_archive_that_leads_out_of_its_folder_is_installed_anew(
    machine: Machine, tmp_path: Path, name: str, kind: bytes, leads_to: str
) -> None:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, leads_to
        archive.addfile(member)
    (tmp_path / "0000").write_bytes(body.getvalue())
    handed, contents = _handed([tmp_path / "0000"], machine.content)

    installed = machine.install(handed, contents)

    assert installed is not None
    assert "unpacking the packages ended with exit code 1" in machine.said()
    assert not os.path.lexists(machine.tools / name)


def test_end_that_is_asked_for_while_packages_are_fetched_is_heard(machine: Machine, tmp_path: Path) -> None:
    handed, contents = _handed(_pieces(tmp_path, {"cache/wheel": "w"}), machine.content)

    with pytest.raises(SetupCancelledError):
        machine.install(handed, contents, lambda: True)


def test_machine_that_shares_a_cache_fetches_and_leaves_nothing(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", "/home/somebody/cache")
    handed, contents = _handed(_pieces(tmp_path, {"cache/wheel": "w"}), machine.content)

    installed = machine.install(handed, contents)

    assert installed is None
    assert "uv pip asks /home/somebody/cache" in machine.said()


@pytest.mark.parametrize("changed", ["requirements.txt", "uv.lock", "../uv.lock"])
def test_content_follows_the_files_that_name_packages(tmp_path: Path, changed: str) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "requirements.txt").write_text("kites\n")
    packages = Packages(PackagesKind.REQUIREMENTS, folder / "requirements.txt")
    before = content_of(packages, tmp_path, with_pip=False)

    (folder / changed).write_text("kites==2\n")

    assert content_of(packages, tmp_path, with_pip=False) != before


def _keeping(machine: Machine, say: Sayings, *, is_unwanted: Callable[[], bool] = lambda: False) -> PackageKeeping:
    identity: dict[str, str | int] = {"run_id": RUN_ID, "attempt": 1}
    note = Note(machine.folder.note("packages"), say)
    return PackageKeeping(
        machine.tools, machine.folder.packages, AT, machine.store, identity, is_unwanted, say, note, delay_s=0.0
    )


def _wait_for_the_keeping() -> None:
    for thread in threading.enumerate():
        if thread.name == "packages":
            thread.join(10)


def test_packages_are_left_with_their_listing_last(machine: Machine) -> None:
    (machine.tools / "cache").mkdir(parents=True)
    (machine.tools / "cache" / "wheel").write_text("w")

    _keeping(machine, Sayings()).keep(CONTENT)

    assert machine.store.written == [f"{AT}0000", f"{AT}packages.json"]
    listing = PackagesListing.model_validate_json(machine.store.objects[f"{AT}packages.json"])
    assert (listing.run_id, listing.attempt, listing.content) == (RUN_ID, 1, CONTENT)
    with tarfile.open(fileobj=io.BytesIO(machine.store.objects[f"{AT}0000"])) as archive:
        assert archive.getnames() == ["cache", "cache/wheel"]


def test_notice_ends_the_keeping_of_packages(machine: Machine) -> None:
    (machine.tools / "cache").mkdir(parents=True)

    _keeping(machine, Sayings(), is_unwanted=lambda: True).keep(CONTENT)

    assert machine.store.written == []


def test_packages_that_are_too_large_are_not_kept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_keeping, "LIMIT_BYTES", 1_000)
    (machine.tools / "cache").mkdir(parents=True)
    (machine.tools / "cache" / "wheel").write_bytes(os.urandom(5_000))
    say = Sayings()

    _keeping(machine, say).keep(CONTENT)

    assert machine.store.written == []
    assert "larger than" in say


@pytest.mark.parametrize(("seconds", "kept"), [(4.9, False), (5.0, True)])
def test_only_what_took_long_is_kept(machine: Machine, seconds: float, kept: bool) -> None:
    (machine.tools / "cache").mkdir(parents=True)
    say = Sayings()

    _keeping(machine, say).begin(Installed(CONTENT, seconds))
    _wait_for_the_keeping()

    assert (f"{AT}packages.json" in machine.store.objects) is kept
    assert not machine.folder.packages.exists()


def test_bucket_that_refuses_packages_is_told_and_forgiven(machine: Machine) -> None:
    (machine.tools / "cache").mkdir(parents=True)
    machine.store.fails = True
    say = Sayings()

    _keeping(machine, say).begin(Installed(CONTENT, 60.0))
    _wait_for_the_keeping()

    assert "could not be kept for a later attempt: the bucket cannot be reached" in say


def test_agent_that_was_killed_before_the_packages_were_kept_begins_anew(machine: Machine) -> None:
    (machine.tools / "cache").mkdir(parents=True)
    killed = _keeping(machine, Sayings())
    killed.end()  # as early as an agent may be killed: nothing is packed yet
    killed.begin(Installed(CONTENT, 60.0))
    _wait_for_the_keeping()
    assert machine.store.written == []

    _keeping(machine, Sayings()).go_on()
    _wait_for_the_keeping()

    assert PackagesListing.model_validate_json(machine.store.objects[f"{AT}packages.json"]).content == CONTENT


def test_packages_that_were_kept_are_not_packed_again(machine: Machine) -> None:
    (machine.tools / "cache").mkdir(parents=True)
    _keeping(machine, Sayings()).begin(Installed(CONTENT, 60.0))
    _wait_for_the_keeping()
    machine.store.written.clear()

    _keeping(machine, Sayings()).go_on()
    _wait_for_the_keeping()

    assert machine.store.written == []


def test_packer_whose_agent_is_gone_leaves(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "pieces").mkdir()
    packer = (
        "import os, runpy, sys; sys.argv = sys.argv[1:]; pack = runpy.run_path(sys.argv[0])['main'];\n"
        "real, asked = os.getppid, iter([True]); os.getppid = lambda: real() if next(asked, False) else 1\n"
        "sys.exit(pack(sys.argv[1:]))"
    )
    command = [sys.executable, "-I", "-S", "-c", packer, package_pack.__file__]

    done = subprocess.run(
        [*command, "pack", str(tmp_path), str(tmp_path / "pieces"), "100", "1000", "cache"], check=False
    )

    assert done.returncode == package_pack.ORPHANED


def test_packer_gives_way_to_the_training(tmp_path: Path) -> None:
    (tmp_path / "pieces").mkdir()
    told = (
        f"NICE = {os.nice(0)}\n"
        "import os, runpy, sys; sys.argv = sys.argv[1:]; code = 0\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: code = end.code\n"
        "print(os.nice(0) - NICE, code)"
    )
    command = [sys.executable, "-I", "-S", "-c", told, package_pack.__file__]

    done = subprocess.run(
        [*command, "pack", str(tmp_path), str(tmp_path / "pieces"), "100", "1000", "cache"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["10", "0"]


def test_links_inside_the_cache_and_modes_survive(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "cache").mkdir(parents=True)
    (source / "cache" / "run").write_text("#!/bin/sh\n")
    (source / "cache" / "run").chmod(0o755)
    (source / "cache" / "link").symlink_to("run")
    (tmp_path / "pieces").mkdir()
    target.mkdir()

    package_pack.pack(source, ("cache",), tmp_path / "pieces", 50, 1_000_000)
    package_pack.unpack(tmp_path / "pieces", target)

    assert (target / "cache" / "link").readlink() == Path("run")
    assert os.access(target / "cache" / "run", os.X_OK)
