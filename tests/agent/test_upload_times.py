"""What the last upload will take is told by the size and the speed of those before."""

from pathlib import Path

from runctl.agent.note import Note
from runctl.agent.upload_times import REMEMBERED, UploadTimes
from tests.agent.fakes import Sayings

MIB = 1024 * 1024


def _uploaded(*uploads: tuple[int, float]) -> UploadTimes:
    times = UploadTimes()
    for count, seconds in uploads:
        times.begin(count, 0.0)
        times.end(seconds, arrived=True)
    return times


def test_nothing_is_expected_before_there_was_an_upload() -> None:
    assert UploadTimes().expected_s(0.0) == 0.0


def test_larger_checkpoint_at_the_slowest_speed_is_expected() -> None:
    assert _uploaded((100 * MIB, 10.0), (400 * MIB, 20.0)).expected_s(0.0) == 40.0


def test_tiny_uploads_say_nothing_about_the_speed() -> None:
    assert _uploaded((100, 0.5), (100 * MIB, 10.0)).expected_s(0.0) == 10.0


def test_upload_on_its_way_counts_before_it_arrived() -> None:
    times = _uploaded((100 * MIB, 10.0))
    times.begin(300 * MIB, 100.0)

    assert times.expected_s(101.0) == 30.0
    assert times.expected_s(190.0) == 90.0


def test_upload_that_failed_is_forgotten() -> None:
    times = UploadTimes()
    times.begin(100 * MIB, 0.0)
    times.end(50.0, arrived=False)

    assert times.expected_s(50.0) == 0.0


def test_slow_upload_of_long_ago_is_forgotten() -> None:
    assert _uploaded((MIB, 100.0), *[(MIB, 1.0)] * REMEMBERED).expected_s(0.0) == 1.0


def test_what_is_known_outlives_the_supervisor(tmp_path: Path) -> None:
    note = Note(tmp_path / "times.json", Sayings())
    times = UploadTimes(note)
    times.begin(MIB, 0.0)
    times.end(7.0, arrived=True)

    assert UploadTimes(note).expected_s(0.0) == 7.0
