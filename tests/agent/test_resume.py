"""The point from which an attempt resumes is fetched, checked, and cannot lead out of its folder."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent import resume
from runctl.agent.job import LinkedFile, ResumePoint
from runctl.agent.resume import CheckpointFetcher, Resumed
from runctl.agent.setup_error import SetupError
from tests.agent.factories import resume_point
from tests.agent.fakes import FakeLinks, Sayings


def _never() -> bool:
    return False


def test_newest_checkpoint_is_fetched(tmp_path: Path) -> None:
    new, new_links = resume_point("step-2", weights=b"new", state=b"s")
    old, old_links = resume_point("step-1", weights=b"old")
    links = FakeLinks(new_links | old_links)

    resumed = CheckpointFetcher(tmp_path / "resume", links, Sayings(), _never).fetch((new, old))

    assert resumed == Resumed(tmp_path / "resume" / "step-2", new)
    assert (tmp_path / "resume" / "step-2" / "weights").read_bytes() == b"new"
    assert not any("step-1" in url for url in links.read_urls)


def test_checkpoint_that_is_one_file_is_named_itself(tmp_path: Path) -> None:
    file = LinkedFile("step-3.pt", 1, sha256(b"w").hexdigest(), "https://s3/w")
    point = ResumePoint("key", "step-3.pt", 3, (file,))

    resumed = CheckpointFetcher(tmp_path / "resume", FakeLinks({"https://s3/w": b"w"}), Sayings(), _never).fetch(
        (point,)
    )

    assert resumed is not None
    assert resumed.path.read_bytes() == b"w"


@pytest.mark.parametrize("damage", [b"other", None])
def test_damaged_checkpoint_is_left_for_the_older_one_with_a_warning(tmp_path: Path, damage: bytes | None) -> None:
    new, new_links = resume_point("step-2", weights=b"new")
    old, old_links = resume_point("step-1", weights=b"old")
    damaged = dict.fromkeys(new_links, damage) if damage is not None else {}
    say = Sayings()

    resumed = CheckpointFetcher(tmp_path / "resume", FakeLinks(old_links | damaged), say, _never).fetch((new, old))

    assert resumed is not None
    assert resumed.point is old
    assert "step-2 cannot be used" in say
    assert not (tmp_path / "resume" / "step-2").exists()
    assert "https://" not in "".join(say.lines)


def test_run_whose_checkpoints_are_all_damaged_does_not_start_again_from_nothing(tmp_path: Path) -> None:
    point, _ = resume_point("step-2", weights=b"new")

    with pytest.raises(SetupError, match="no checkpoint"):
        CheckpointFetcher(tmp_path / "resume", FakeLinks({}), Sayings(), _never).fetch((point,))


def test_run_without_checkpoints_begins_at_the_beginning(tmp_path: Path) -> None:
    assert CheckpointFetcher(tmp_path / "resume", FakeLinks({}), Sayings(), _never).fetch(()) is None


def test_large_file_is_fetched_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "PIECE_BYTES", 10)
    point, contents = resume_point("step-2", weights=bytes(range(95)), state=b"", tail=b"0123456789")
    links = FakeLinks(contents)

    resumed = CheckpointFetcher(tmp_path / "resume", links, Sayings(), _never).fetch((point,))

    assert resumed is not None
    assert (resumed.path / "weights").read_bytes() == bytes(range(95))
    assert (resumed.path / "state").read_bytes() == b""
    assert len(links.read_urls) == 11


def test_piece_that_breaks_off_is_fetched_again(tmp_path: Path) -> None:
    point, contents = resume_point("step-2", weights=b"weights")
    links = FakeLinks(contents)
    whole, tries = links.read, iter([True, False])

    def read(url: str, start: int, length: int) -> Iterator[bytes]:
        if next(tries):
            yield b"wei"
            raise OSError("IncompleteRead")
        yield from whole(url, start, length)

    links.read = read  # type: ignore[method-assign]

    resumed = CheckpointFetcher(tmp_path / "resume", links, Sayings(), _never).fetch((point,))

    assert resumed is not None
    assert (resumed.path / "weights").read_bytes() == b"weights"


@given(damaged=st.lists(st.booleans(), min_size=1, max_size=5))
def test_newest_whole_checkpoint_is_taken_and_those_before_it_are_told(damaged: list[bool]) -> None:
    points, contents = [], {}
    for number, is_damaged in enumerate(damaged):
        point, links = resume_point(f"step-{9 - number}", weights=b"weights", state=b"state")
        points.append(point)
        contents |= {url: b"else" if is_damaged and "state" in url else data for url, data in links.items()}
    with TemporaryDirectory() as folder:
        fetcher = CheckpointFetcher(Path(folder, "resume"), FakeLinks(contents), Sayings(), _never)

        if all(damaged):
            with pytest.raises(SetupError):
                fetcher.fetch(tuple(points))
            return
        resumed = fetcher.fetch(tuple(points))

        assert resumed is not None
        first_whole = damaged.index(False)
        assert resumed.point is points[first_whole]
        assert len(resumed.passed_over) == first_whole
        assert [path.name for path in Path(folder, "resume").iterdir()] == [points[first_whole].name]


@pytest.mark.parametrize("path", ["../evil", "/tmp/evil", "step-20/x", "step-2/../../evil"])
def test_checkpoint_cannot_reach_outside_its_folder(tmp_path: Path, path: str) -> None:
    file = LinkedFile(path, 1, sha256(b"w").hexdigest(), "https://s3/w")
    point = ResumePoint("key", "step-2", 2, (file,))
    say = Sayings()

    with pytest.raises(SetupError):
        CheckpointFetcher(tmp_path / "resume", FakeLinks({"https://s3/w": b"w"}), say, _never).fetch((point,))

    assert "outside" in say
