"""The project arrives whole, each file as it was sent, and nothing of it lies outside its folder."""

import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent import job
from runctl.agent.code_listing import ListedFile, read_listing, refuse_path
from runctl.agent.project_code import fetch_code, stretches
from runctl.agent.setup_error import SetupCancelledError, SetupError
from runctl.model.code import CodeFile, CodeListing, CodePack
from runctl.model.run import CodeRef
from tests.agent.factories import Project, listed, project
from tests.agent.fakes import MemoryStore


def _never() -> bool:
    return False


def _ref(code: CodeRef) -> job.CodeRef:
    return job.CodeRef(code.key, code.sha256)


def _fetch(tmp_path: Path, what: Project, store: MemoryStore | None = None) -> dict[str, str]:
    store = store or MemoryStore()
    store.objects |= what.objects
    count = fetch_code(_ref(what.code), store, tmp_path / "code", _never)
    files = [path for path in (tmp_path / "code").rglob("*") if path.is_file()]
    assert count == len(files)
    return {path.relative_to(tmp_path / "code").as_posix(): path.read_text() for path in files}


def _row(path: str = "train.py", body: bytes = b"x", **fields: Any) -> CodeFile:
    row = CodeFile(path, sha256(body).hexdigest(), len(body), False, 0, 0, len(body), False)
    return row._replace(**fields)


def _of(*rows: CodeFile, pack: bytes = b"x", **fields: Any) -> Project:
    return listed(
        CodeListing(packs=(CodePack("code/packs/p", len(pack)),), files=rows, **fields), {"code/packs/p": pack}
    )


FILES = {"train.py": "print(1)", "a/b/module.py": "", "ä/größe.txt": "text " * 1_000, "run.sh": "#!/bin/sh\n"}


def test_code_is_fetched_as_it_was_sent(tmp_path: Path) -> None:
    found = _fetch(tmp_path, project(FILES, executable=frozenset({"run.sh"})))

    assert found == FILES
    assert (tmp_path / "code/run.sh").stat().st_mode & 0o7777 & ~0o022 == 0o755
    assert (tmp_path / "code/train.py").stat().st_mode & 0o111 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_what_lay_there_before_is_gone(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/old.py").touch()

    assert _fetch(tmp_path, project({"train.py": ""})) == {"train.py": ""}


def test_changes_of_a_listing_are_laid_over_it(tmp_path: Path) -> None:
    base = project({"train.py": "old", "gone.py": "", "kept.py": "kept"})
    changes = _of(_row(body=b"new"), pack=b"new", base=base.code, removed=("gone.py", "never.py"))

    found = _fetch(tmp_path, Project(changes.code, base.objects | changes.objects))

    assert found == {"train.py": "new", "kept.py": "kept"}


def test_of_a_pack_that_is_little_used_only_that_is_fetched(tmp_path: Path) -> None:
    store = MemoryStore()
    pack = b"a" + b"-" * 3_000_000 + b"b"
    what = _of(_row("a", b"a"), _row("b", b"b", offset=3_000_001), pack=pack)

    assert _fetch(tmp_path, what, store) == {"a": "a", "b": "b"}
    assert sorted(stretch for _, stretch in store.fetched if stretch) == [(0, 1), (3_000_001, 3_000_002)]


@given(st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(0, 2_000_000)), min_size=1, max_size=20))
def test_every_file_lies_in_the_stretch_that_is_fetched_for_it(places: list[tuple[int, int]]) -> None:
    files = [ListedFile(str(n), "", 0, False, "p", offset, size, False) for n, (offset, size) in enumerate(places)]

    found = list(stretches(files))

    assert sorted(file.path for stretch in found for file in stretch.files) == sorted(file.path for file in files)
    for stretch in found:
        for file in stretch.files:
            assert stretch.begin <= file.offset
            assert file.offset + file.stored_bytes <= stretch.end


def test_listing_with_another_hash_is_refused(tmp_path: Path) -> None:
    what = project({"train.py": ""})
    wrong = Project(what.code.model_copy(update={"sha256": "0" * 64}), what.objects)

    with pytest.raises(SetupError, match="damaged"):
        _fetch(tmp_path, wrong)

    assert not (tmp_path / "code").exists()


def test_code_that_is_not_there_says_so(tmp_path: Path) -> None:
    what = project({"train.py": ""})

    with pytest.raises(SetupError, match="NoSuchKey"):
        fetch_code(_ref(what.code), MemoryStore(), tmp_path / "code", _never)


def test_pack_that_is_not_there_says_so(tmp_path: Path) -> None:
    what = project({"train.py": "x"})

    with pytest.raises(SetupError, match="NoSuchKey"):
        _fetch(tmp_path, Project(what.code, {what.code.key: what.objects[what.code.key]}))


def test_transfer_that_breaks_off_is_tried_again(tmp_path: Path) -> None:
    what = project({"train.py": "x"})
    store = MemoryStore()
    real, failures = store.get_file, iter([True, True, False])

    def get_file(*arguments: Any) -> str:
        if next(failures):
            raise OSError("connection reset")
        return real(*arguments)

    store.get_file = get_file  # type: ignore[method-assign]

    assert _fetch(tmp_path, what, store) == {"train.py": "x"}


def test_fetching_is_given_up_when_asked(tmp_path: Path) -> None:
    what = project({"train.py": ""})

    with pytest.raises(SetupCancelledError):
        fetch_code(_ref(what.code), MemoryStore(), tmp_path / "code", lambda: True)


@pytest.mark.parametrize("path", ["../evil", "/tmp/evil", "a/../../evil", "a//b", "./a", "a/.", "", "a/", "a\0b", ".."])
def test_name_that_leads_out_of_the_project_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(SetupError, match="outside the project"):
        _fetch(tmp_path / "inner", _of(_row(path)))

    assert not list(tmp_path.rglob("evil"))


@given(st.text())
def test_what_is_not_refused_lies_inside(path: str) -> None:
    try:
        refuse_path(path)
    except SetupError:
        return

    root = Path("/root/project")
    assert ".." not in (root / path).parts
    assert (root / path).is_relative_to(root)
    assert (root / path) != root


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_two_files_at_one_place_are_refused(tmp_path: Path, first: str, second: str) -> None:
    with pytest.raises(SetupError, match="twice"):
        _fetch(tmp_path, _of(_row(first), _row(second)))


@pytest.mark.parametrize(
    "row",
    [
        _row(sha256="0" * 64),
        _row(bytes=2),
        _row(bytes=0),
        _row(offset=7),
        _row(is_compressed=True),
    ],
)
def test_file_that_is_not_what_the_listing_says_is_refused(tmp_path: Path, row: CodeFile) -> None:
    with pytest.raises(SetupError, match=r"damaged: train\.py"):
        _fetch(tmp_path, _of(row))


def test_file_that_unpacks_to_more_than_it_says_is_stopped_there(tmp_path: Path) -> None:
    bomb = zlib.compress(b"0" * 50_000_000)

    with pytest.raises(SetupError, match="damaged"):
        _fetch(tmp_path, _of(_row(body=b"0", stored_bytes=len(bomb), is_compressed=True), pack=bomb))

    assert (tmp_path / "code/train.py").stat().st_size <= 2_000_000


def test_change_of_a_change_is_refused(tmp_path: Path) -> None:
    base = project({"train.py": ""})
    first = _of(base=base.code)
    second = _of(base=first.code)

    with pytest.raises(SetupError, match="change of a change"):
        _fetch(tmp_path, Project(second.code, base.objects | first.objects | second.objects))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no gzip",
        listed(CodeListing(), {}).objects[listed(CodeListing(), {}).code.key][:-9],
    ],
)
def test_listing_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(SetupError, match="listing"):
        read_listing(body)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        '{"version": 2}',
        '{"files": [["a"]]}',
        '{"files": 7}',
        '{"files": [["a", "b", -1, 0, 0, 0, 0, 0]]}',
        '{"base": 3}',
    ],
)
def test_listing_that_makes_no_sense_is_refused(text: str) -> None:
    packer = zlib.compressobj(wbits=31)

    with pytest.raises(SetupError, match="listing"):
        read_listing(packer.compress(text.encode()) + packer.flush())
