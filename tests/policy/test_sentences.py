"""Sentences that people read."""

import pytest

from runctl.policy import sentences


@pytest.mark.parametrize(
    ("count", "files", "text"),
    [
        (1, 1, "1 byte"),
        (999, 2, "999 bytes in 2 files"),
        (1_200, 1, "1.2 kB"),
        (80_104, 1, "80 kB"),
        (50_000_000_000, 8, "50 GB in 8 files"),
        (3_000_000_000_000, 1, "3000 GB"),
    ],
)
def test_a_size_is_written_as_people_say_it(count: int, files: int, text: str) -> None:
    assert sentences.size(count, files) == text
