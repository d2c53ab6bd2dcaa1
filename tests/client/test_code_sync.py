"""Sending a project by content: what moves, what does not, and what is not believed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from runctl.client import packing
from runctl.client.code_memory import MemoryFile
from runctl.client.code_sync import CodeSync, SyncedCode
from runctl.client.project import collect_files
from runctl.errors import AwsUnavailable, InvalidSpec
from runctl.model.timing import CODE_RENEWED_AFTER
from tests.client.deployment import MemoryCode


class _Laptop:
    """A project on a laptop, and the bucket. Time is the file system's, shifted, so that no file is too fresh."""

    def __init__(self, folder: Path, code: MemoryCode | None = None) -> None:
        self.root = folder / "project"
        self.root.mkdir(parents=True)
        self.memory = folder / "memory"
        self.code = code or MemoryCode()
        self.later = timedelta(seconds=10)
        self.told: list[tuple[int, int]] = []

    def write(self, path: str, text: str | bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)

    def sync(self) -> SyncedCode:
        self.code.now = datetime.now(UTC) + self.later
        self.code.written.clear()
        self.code.looks.clear()
        return self._sync().send(self.root, collect_files(self.root), lambda *told: self.told.append(told))

    def confirm(self, synced: SyncedCode) -> bool:
        return self._sync().confirm(synced.code)

    def there(self, synced: SyncedCode) -> dict[str, bytes]:
        return self.code.project(synced.code)

    def _sync(self) -> CodeSync:
        return CodeSync(self.code, self.memory, lambda: datetime.now(UTC) + self.later)


@pytest.fixture
def laptop(tmp_path: Path) -> _Laptop:
    """A project of three hundred files."""
    laptop = _Laptop(tmp_path / "laptop")
    noise = Random(7)
    for number in range(300):
        laptop.write(f"package{number % 7}/module{number}.py", noise.randbytes(2_000))
    return laptop


def test_project_arrives_as_it_is(laptop: _Laptop) -> None:
    laptop.write("run.sh", "#!/bin/sh\n")
    (laptop.root / "run.sh").chmod(0o755)
    laptop.write("empty.txt", "")
    laptop.write("ä/größe.txt", "text " * 1_000)

    synced = laptop.sync()

    files = {path.relative_to(laptop.root).as_posix(): path for path in laptop.root.rglob("*") if path.is_file()}
    assert laptop.there(synced) == {name: path.read_bytes() for name, path in files.items()}
    assert {file.path for file in laptop.code.listing(synced.code).files if file.is_executable} == {"run.sh"}
    assert (synced.files, synced.sent_files) == (303, 303)
    assert sum(count for count, _ in laptop.told) == laptop.told[-1][1] == synced.bytes


def test_many_files_are_few_requests(laptop: _Laptop) -> None:
    laptop.sync()

    assert len(laptop.code.written) == 2


def test_unchanged_project_moves_nothing_and_is_looked_for_in_the_bucket(laptop: _Laptop) -> None:
    first = laptop.sync()

    second = laptop.sync()

    assert second.code == first.code
    assert (second.sent_bytes, second.sent_files, second.was_sent) == (0, 0, False)
    assert laptop.code.written == []
    assert set(laptop.code.looks) == set(laptop.code.objects)


def test_unchanged_file_is_not_read_again(laptop: _Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop.sync()
    monkeypatch.setattr("runctl.client.code_sync.file_digest", lambda path: pytest.fail(f"{path} was read"))

    assert not laptop.sync().was_sent


def test_changed_file_moves_itself_and_no_more_than_as_much_again(laptop: _Laptop) -> None:
    laptop.sync()
    laptop.write("package1/module1.py", Random(8).randbytes(2_000))

    synced = laptop.sync()

    assert synced.sent_files == 1
    assert synced.sent_bytes <= 2 * 2_000
    assert laptop.there(synced)["package1/module1.py"] == Random(8).randbytes(2_000)
    assert len(laptop.there(synced)) == 300


def test_changed_content_of_the_same_size_and_time_is_seen(laptop: _Laptop) -> None:
    path = laptop.root / "package1/module1.py"
    laptop.sync()
    before = path.stat()
    laptop.write("package1/module1.py", b"x" * 2_000)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    synced = laptop.sync()

    assert laptop.there(synced)["package1/module1.py"] == b"x" * 2_000


def test_file_that_was_written_just_before_it_was_read_is_read_again(laptop: _Laptop) -> None:
    laptop.later = timedelta(0)
    laptop.write("train.py", "print(1)")
    laptop.sync()
    memory = MemoryFile(laptop.memory, laptop.root, laptop.code.name).read()

    assert memory.files["train.py"].stamp == []


def test_deletions_and_renames_arrive_and_move_no_content(laptop: _Laptop) -> None:
    laptop.sync()
    (laptop.root / "package1/module1.py").unlink()
    (laptop.root / "package2/module2.py").rename(laptop.root / "moved.py")

    synced = laptop.sync()

    names = laptop.there(synced)
    assert "package1/module1.py" not in names
    assert "package2/module2.py" not in names
    assert "moved.py" in names
    assert synced.sent_files == 0
    assert synced.sent_bytes < 1_000


def test_going_back_to_an_earlier_state_moves_nothing(laptop: _Laptop) -> None:
    first = laptop.sync()
    before = (laptop.root / "package1/module1.py").read_bytes()
    laptop.write("package1/module1.py", "other")
    laptop.sync()
    laptop.write("package1/module1.py", before)

    back = laptop.sync()
    laptop.write("package3/module3.py", "other")
    on = laptop.sync()

    assert (back.code, back.sent_bytes) == (first.code, 0)
    assert laptop.there(on)["package1/module1.py"] == before
    assert laptop.there(on)["package3/module3.py"] == b"other"


def test_many_small_changes_end_in_a_whole_listing(laptop: _Laptop) -> None:
    laptop.sync()
    for number in range(60):
        laptop.write(f"package{number % 7}/module{number}.py", f"print({number})")
        synced = laptop.sync()

    bases = laptop.code.listing(synced.code).base
    assert laptop.there(synced)["package3/module59.py"] == b"print(59)"
    assert bases is not None
    assert laptop.code.listing(bases).base is None
    assert len(laptop.code.listing(synced.code).files) < 50


def test_right_to_execute_is_a_change_that_moves_no_content(laptop: _Laptop) -> None:
    laptop.sync()
    (laptop.root / "package1/module1.py").chmod(0o755)

    synced = laptop.sync()

    assert synced.sent_files == 0
    assert [file.path for file in laptop.code.listing(synced.code).files if file.is_executable] == [
        "package1/module1.py"
    ]


@pytest.mark.parametrize("which", ["code/packs/", ".json.gz"])
def test_what_is_gone_from_the_bucket_is_sent_again_whatever_was_remembered(laptop: _Laptop, which: str) -> None:
    first = laptop.sync()
    for key in [key for key in laptop.code.objects if which in key]:
        laptop.code.remove(key)

    second = laptop.sync()

    assert second.was_sent
    assert second.sent_files == (300 if "packs" in which else 0)
    assert len(laptop.there(second)) == first.files


def test_what_is_another_thing_than_its_name_says_is_sent_again(laptop: _Laptop) -> None:
    laptop.sync()
    (pack,) = [key for key in laptop.code.objects if "packs" in key]
    whole = laptop.code.objects[pack]
    laptop.code.objects[pack] = b"\0" * len(whole)

    synced = laptop.sync()

    assert synced.sent_files == 300
    assert laptop.code.objects[pack] == whole


def test_base_of_a_listing_that_is_gone_is_replaced(laptop: _Laptop) -> None:
    first = laptop.sync()
    laptop.write("package1/module1.py", "other")
    laptop.sync()
    laptop.code.remove(first.code.key)

    synced = laptop.sync()

    assert laptop.there(synced)["package1/module1.py"] == b"other"


@pytest.mark.parametrize(
    "text", ["", "{", '{"version": 2}', '{"version": 1, "files": 3}', '{"version":1,"packs":[]}', "[]"]
)
def test_memory_that_makes_no_sense_is_an_empty_one(laptop: _Laptop, text: str) -> None:
    laptop.sync()
    (memory,) = laptop.memory.iterdir()
    memory.write_text(text)

    synced = laptop.sync()

    assert len(laptop.there(synced)) == 300
    assert synced.sent_files == 300
    assert all("packs" not in key for key in laptop.code.written)


def test_another_clone_of_the_same_project_moves_nothing(laptop: _Laptop, tmp_path: Path) -> None:
    synced = laptop.sync()
    other = _Laptop(tmp_path / "other", laptop.code)
    for path, body in laptop.there(synced).items():
        other.write(path, body)

    again = other.sync()

    assert again.code == synced.code
    assert [key for key in laptop.code.written if "packs" in key] == []


def test_what_is_used_again_after_long_is_renewed_so_that_the_bucket_does_not_forget_it(laptop: _Laptop) -> None:
    laptop.sync()
    laptop.write("package1/module1.py", "other")
    laptop.sync()
    laptop.later = CODE_RENEWED_AFTER + timedelta(days=1)

    synced = laptop.sync()

    assert not synced.was_sent
    assert set(laptop.code.renewed) == set(laptop.code.objects)


def test_code_of_an_earlier_run_is_confirmed_only_when_all_of_it_is_there(laptop: _Laptop) -> None:
    laptop.sync()
    laptop.write("package1/module1.py", "other")
    synced = laptop.sync()
    whole = laptop.confirm(synced)
    old = next(key for key in laptop.code.objects if "packs" in key)
    laptop.code.remove(old)

    assert (whole, laptop.confirm(synced)) == (True, False)


def test_packs_of_which_nothing_is_used_any_more_are_not_missed(
    laptop: _Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "PACK_BYTES", 1_000)  # each file is a pack of its own
    laptop.sync()
    old = MemoryFile(laptop.memory, laptop.root, laptop.code.name).read().files["package1/module1.py"].sha256
    laptop.write("package1/module1.py", "other")
    synced = laptop.sync()

    laptop.code.remove(f"code/packs/{old}")

    assert laptop.confirm(synced)
    assert not laptop.sync().was_sent


def test_large_file_goes_alone_and_compressed_where_that_is_worth_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "PACK_BYTES", 100_000)
    laptop = _Laptop(tmp_path)
    laptop.write("table.csv", b"1,2,3\n" * 40_000)
    laptop.write("weights.bin", Random(1).randbytes(200_000))
    laptop.write("small.py", "print(1)")

    synced = laptop.sync()

    rows = {file.path: file for file in laptop.code.listing(synced.code).files}
    assert (rows["table.csv"].is_compressed, rows["weights.bin"].is_compressed) == (True, False)
    assert rows["table.csv"].stored_bytes < 10_000
    assert len({file.pack for file in rows.values()}) == 3
    assert laptop.there(synced)["table.csv"] == b"1,2,3\n" * 40_000
    assert sum(count for count, _ in laptop.told) == synced.bytes


def test_file_that_changes_while_it_is_sent_is_refused(laptop: _Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = packing.make_pack

    def make_pack(contents: Any, folder: Path) -> Any:
        laptop.write("package1/module1.py", "meanwhile")
        return real(contents, folder)

    monkeypatch.setattr("runctl.client.code_sync.make_pack", make_pack)

    with pytest.raises(InvalidSpec, match=r"package1/module1\.py changed while it was read"):
        laptop.sync()


def test_file_that_is_gone_meanwhile_is_told_by_name(laptop: _Laptop) -> None:
    files = collect_files(laptop.root)
    (laptop.root / "package1/module1.py").unlink()

    with pytest.raises(InvalidSpec, match=r"package1/module1\.py cannot be read"):
        CodeSync(laptop.code, laptop.memory, lambda: datetime.now(UTC)).send(
            laptop.root, files, lambda _count, _total: None
        )


def test_upload_that_broke_off_is_taken_up_where_it_was(laptop: _Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PACK_BYTES", 100_000)
    real, calls = laptop.code.put, iter(range(100))

    def put(key: str, body: bytes, sha256: bytes) -> None:
        if next(calls) == 3:
            raise AwsUnavailable("no network")
        real(key, body, sha256)

    laptop.code.put = put  # type: ignore[method-assign]
    with pytest.raises(AwsUnavailable):
        laptop.sync()
    there = set(laptop.code.objects)

    synced = laptop.sync()

    assert there
    assert not there & set(laptop.code.written)
    assert len(laptop.there(synced)) == 300
