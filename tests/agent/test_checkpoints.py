"""Checkpoints are seen when they are whole, uploaded with the manifest last, and the newest are kept."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from runctl.agent.checkpoint_folder import CheckpointFolder, scan
from runctl.agent.checkpoint_record import Record, RecordFile
from runctl.agent.checkpoint_uploader import RETRY_S, CheckpointUploader
from runctl.agent.known_files import BLOCK_BYTES, BLOCKS
from tests.agent.factories import PREFIX, job
from tests.agent.fakes import FakeClock, MemoryStore, Sayings

BASE = f"{PREFIX}checkpoints/"


class Machine:
    """A checkpoint directory and what uploads it."""

    def __init__(self, path: Path, keep: int = 3) -> None:
        path.mkdir(exist_ok=True)
        self.path = path
        self.store = MemoryStore()
        self.told: list[dict[str, Any]] = []
        self.clock = FakeClock()
        self.say = Sayings()
        self.folder = CheckpointFolder(path)
        self.keep = keep
        self.may_be_read = False
        self.record = RecordFile(path.with_name("uploads.json"))
        self.uploader = self.new_uploader()

    def new_uploader(self) -> CheckpointUploader:
        """What an agent has that was just started."""
        return CheckpointUploader(
            self.folder,
            self.record,
            self.store,
            job(keep_checkpoints=self.keep),
            self.told.append,
            self.clock,
            self.say,
            may_be_read=lambda: self.may_be_read,
        )

    def start_again(self) -> None:
        """Let the agent die and start again."""
        self.folder = CheckpointFolder(self.path)
        self.uploader = self.new_uploader()

    def write(self, name: str, text: str = "weights", second: int = 0) -> Path:
        """Write an entry in its place, as a script without care does. Its times are set apart by hand."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (2_000_000_000 + second, 2_000_000_000 + second))  # later than any time of change
        return file

    def read_back(self, name: str) -> dict[str, bytes]:
        """What a machine that resumes would find."""
        files = self.store.document(f"{BASE}{name}/manifest.json")["files"]
        contents = {file["path"]: self.store.objects[file["key"]] for file in files}
        assert {file["path"]: file["sha256"] for file in files} == {
            path: sha256(content).hexdigest() for path, content in contents.items()
        }
        return contents

    @property
    def manifests(self) -> list[str]:
        names = [key.removeprefix(BASE) for key in self.store.objects if key.endswith("manifest.json")]
        return sorted(name.removesuffix("/manifest.json") for name in names)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "checkpoints")


@pytest.mark.parametrize("name", ["step-1.pt.tmp", "step-1.partial", ".step-1.pt"])
def test_names_of_unfinished_entries_are_passed_over(machine: Machine, name: str) -> None:
    machine.write(name)

    assert machine.folder.complete(writer_is_gone=True) == []


def test_entry_written_in_place_is_taken_when_it_has_not_changed_between_two_looks(machine: Machine) -> None:
    machine.write("step-1.pt")

    first, second = machine.folder.complete(), machine.folder.complete()

    assert (len(first), [checkpoint.name for checkpoint in second]) == (0, ["step-1.pt"])


def test_entry_that_grows_is_not_taken(machine: Machine) -> None:
    machine.write("step-1.pt")
    machine.folder.complete()
    machine.write("step-1.pt", "weights and more")

    assert machine.folder.complete() == []


def test_renamed_entry_is_taken_at_the_first_look(machine: Machine) -> None:
    part = machine.path / "step-1.pt.tmp"
    part.write_text("weights")
    os.utime(part, (1_000_000_000, 1_000_000_000))
    part.rename(machine.path / "step-1.pt")

    assert [checkpoint.name for checkpoint in machine.folder.complete()] == ["step-1.pt"]


def test_renamed_folder_is_one_checkpoint(machine: Machine) -> None:
    part = machine.path / "step-1.tmp"
    (part / "optimizer").mkdir(parents=True)
    for file in (part / "weights", part / "optimizer" / "state"):
        file.write_text("x")
    part.rename(machine.path / "step-1")

    (checkpoint,) = machine.folder.complete(writer_is_gone=True)

    assert [file.path for file in checkpoint.files] == ["step-1/optimizer/state", "step-1/weights"]
    assert checkpoint.bytes == 2


def test_empty_folder_is_no_checkpoint(machine: Machine) -> None:
    (machine.path / "step-1").mkdir()

    assert machine.folder.complete(writer_is_gone=True) == []


@pytest.mark.parametrize(
    ("name", "step"), [("step-400.npz", 400), ("epoch_3_step_12", 12), ("model", None), ("v2-last", 2)]
)
def test_step_is_the_last_number_of_the_name(machine: Machine, name: str, step: int | None) -> None:
    machine.write(name)

    (checkpoint,) = scan(machine.path)

    assert checkpoint.step == step


def test_manifest_is_written_after_the_files(machine: Machine) -> None:
    machine.write("step-1/a", "one")
    machine.write("step-1/b", "two")

    machine.uploader.finish()

    *files, last = [key.removeprefix(f"{BASE}step-1/") for key in machine.store.written]
    assert sorted(files) == ["files/1/0", "files/1/1"]
    assert last == "manifest.json"


def test_shard_that_has_not_changed_is_not_uploaded_again(machine: Machine) -> None:
    machine.write("step-1/frozen", "the same in each checkpoint")
    machine.write("step-1/trained", "first")
    machine.uploader.finish()
    machine.write("step-2/frozen", "the same in each checkpoint", second=1)
    machine.write("step-2/trained", "other", second=1)
    machine.store.written.clear()

    machine.uploader.finish()

    assert machine.store.written == [f"{BASE}step-2/files/2/1", f"{BASE}step-2/manifest.json"]
    assert machine.read_back("step-2") == {
        "step-2/frozen": b"the same in each checkpoint",
        "step-2/trained": b"other",
    }


def test_large_file_that_differs_in_one_byte_is_uploaded(machine: Machine) -> None:
    size = BLOCKS * BLOCK_BYTES * 3
    machine.write("step-1.pt", "x" * size)
    machine.uploader.finish()
    machine.write("step-2.pt", "x" * (BLOCK_BYTES + 100) + "y" + "x" * (size - BLOCK_BYTES - 101), second=1)

    machine.uploader.finish()

    assert machine.read_back("step-2.pt")["step-2.pt"].count(b"y") == 1


def test_file_that_a_kept_checkpoint_names_outlives_the_checkpoint_that_brought_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "checkpoints", keep=1)
    for number in (1, 2, 3):
        machine.write(f"step-{number}/frozen", "the same", second=number)
        machine.write(f"step-{number}/trained", f"weights {number}", second=number)
        machine.uploader.finish()

    assert machine.manifests == ["step-3"]
    assert machine.read_back("step-3") == {"step-3/frozen": b"the same", "step-3/trained": b"weights 3"}
    assert len(machine.store.objects) == 3


def test_upload_that_failed_goes_on_with_what_is_missing(machine: Machine) -> None:
    machine.write("step-1/a", "one")
    machine.write("step-1/b", "other")
    machine.store.refused = "/1/1"
    machine.uploader.finish()
    machine.store.refused = ""
    before = list(machine.store.written)

    machine.uploader.finish()

    assert before == [f"{BASE}step-1/files/1/0"]
    assert machine.store.written[1:] == [f"{BASE}step-1/files/2/1", f"{BASE}step-1/manifest.json"]
    assert machine.read_back("step-1") == {"step-1/a": b"one", "step-1/b": b"other"}


def test_agent_that_is_started_again_uploads_nothing_twice_and_overwrites_no_key(machine: Machine) -> None:
    machine.write("step-1.pt", "one")
    machine.uploader.finish()
    machine.start_again()
    machine.uploader.finish()
    machine.write("step-1.pt", "other", second=1)

    machine.uploader.finish()

    files = [key for key in machine.store.written if "/files/" in key]
    assert files == [f"{BASE}step-1.pt/files/1/0", f"{BASE}step-1.pt/files/2/0"]
    assert machine.store.deleted == files[:1]
    assert machine.uploader.newest is not None


def test_agent_that_died_while_it_uploaded_leaves_nothing_behind(machine: Machine) -> None:
    machine.write("step-1/a", "one")
    machine.write("step-1/b", "other")
    machine.store.refused = "manifest"
    machine.uploader.finish()
    machine.store.refused = ""
    machine.start_again()

    machine.uploader.finish()

    assert sorted(machine.store.objects) == [
        f"{BASE}step-1/files/2/0",
        f"{BASE}step-1/files/2/1",
        f"{BASE}step-1/manifest.json",
    ]


def test_disk_that_is_full_does_not_keep_a_checkpoint_from_the_bucket(machine: Machine) -> None:
    machine.write("step-1.pt")

    def full(record: Record) -> None:
        raise OSError(28, "No space left on device")

    machine.record.write = full  # type: ignore[method-assign]

    assert machine.uploader.finish()
    assert machine.manifests == ["step-1.pt"]
    assert "could not be noted" in machine.say


def test_checkpoint_is_uploaded_once(machine: Machine) -> None:
    machine.write("step-1.pt")

    uploaded = [machine.uploader.step() for _ in range(4)]

    assert uploaded == [0, 1, 0, 0]


def test_checkpoint_written_again_under_its_name_replaces_the_older(machine: Machine) -> None:
    machine.write("latest.pt", "one")
    machine.uploader.finish()
    machine.write("latest.pt", "three", second=1)

    machine.uploader.finish()

    (file,) = machine.store.document(f"{BASE}latest.pt/manifest.json")["files"]
    assert machine.store.objects[file["key"]] == b"three"
    assert machine.store.deleted == [f"{BASE}latest.pt/files/1/0"]


def test_only_the_newest_are_kept_and_manifests_go_first(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "checkpoints", keep=2)
    for number in (1, 2, 3):
        machine.write(f"step-{number}.pt", f"weights {number}", second=number)
        machine.uploader.finish()

    assert machine.manifests == ["step-2.pt", "step-3.pt"]
    assert machine.store.deleted == [f"{BASE}step-1.pt/manifest.json", f"{BASE}step-1.pt/files/1/0"]
    assert machine.uploader.newest is not None
    assert machine.uploader.newest.name == "step-3.pt"


def test_checkpoints_that_would_not_be_kept_are_not_uploaded(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "checkpoints", keep=2)
    for number in range(5):
        machine.write(f"step-{number}.pt", f"weights {number}", second=number)

    machine.uploader.step()
    machine.uploader.step()
    machine.uploader.step()

    assert machine.manifests == ["step-3.pt", "step-4.pt"]
    assert machine.store.deleted == []


def test_at_the_end_the_newest_is_uploaded_first(machine: Machine) -> None:
    for number in (1, 2):
        machine.write(f"step-{number}.pt", f"weights {number}", second=number)

    machine.uploader.finish()

    assert machine.store.written[0].startswith(f"{BASE}step-2.pt/")


def test_file_that_changes_while_it_is_uploaded_makes_no_checkpoint(machine: Machine) -> None:
    file = machine.write("step-1.pt")
    machine.store.before_read = lambda path: file.write_text("longer than before") and None

    machine.uploader.finish()

    assert machine.manifests == []
    assert machine.told == []


def test_upload_that_was_refused_for_the_file_changed_meanwhile_is_tried_again_without_a_word(machine: Machine) -> None:
    file = machine.write("step-1.pt")

    def change(_: Path) -> None:
        file.write_text("longer than before")
        raise OSError("BadDigest: the sum is another")

    machine.store.before_read = change
    machine.uploader.finish()
    machine.store.before_read = lambda path: None

    machine.uploader.step()
    arrived = machine.uploader.step()

    assert (arrived, machine.say.lines) == (1, [])


def test_what_was_uploaded_of_a_file_that_changed_is_removed(machine: Machine) -> None:
    file = machine.write("step-1.pt")
    machine.store.before_read = lambda path: file.write_text("longer than before") and None
    machine.uploader.finish()
    machine.store.before_read = lambda path: None
    machine.write("step-1.pt", "at last")

    machine.uploader.finish()

    assert machine.read_back("step-1.pt") == {"step-1.pt": b"at last"}
    assert len(machine.store.objects) == 2


def test_file_that_vanishes_while_it_is_uploaded_is_passed_over(machine: Machine) -> None:
    file = machine.write("step-1.pt")
    machine.store.before_read = lambda path: file.unlink()

    machine.uploader.finish()

    assert machine.store.objects == {}
    assert machine.say.lines == []


def test_upload_that_fails_is_said_once_and_tried_again_after_a_pause(machine: Machine) -> None:
    machine.write("step-1.pt")
    machine.uploader.step()
    machine.store.fails = True
    machine.uploader.step()
    machine.store.fails = False

    too_soon = machine.uploader.step()
    machine.clock.advance(RETRY_S)
    later = machine.uploader.step()

    assert (too_soon, later) == (0, 1)
    assert len(machine.say.lines) == 1


def test_finish_says_whether_all_got_there(machine: Machine) -> None:
    machine.write("step-1.pt")
    machine.store.fails = True

    first = machine.uploader.finish()
    machine.store.fails = False
    second = machine.uploader.finish()

    assert (first, second) == (False, True)


def test_slowest_upload_is_measured(machine: Machine) -> None:
    machine.write("step-1.pt")
    machine.store.before_read = lambda path: machine.clock.advance(12.0)

    machine.uploader.finish()

    assert machine.uploader.times.expected_s(machine.clock.monotonic()) == 12.0


def test_what_another_machine_may_be_resuming_from_is_not_removed(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "checkpoints", keep=1)
    machine.write("step-1", second=1)
    machine.uploader.finish()
    offered = machine.read_back("step-1")
    machine.may_be_read = True
    machine.write("step-2", "newer", second=2)

    machine.uploader.finish()

    assert machine.manifests == ["step-1", "step-2"]
    assert machine.read_back("step-1") == offered
