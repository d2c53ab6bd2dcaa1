"""Sentences that people read."""

import pytest

from runctl.model.run import RunRequest
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


def test_what_arrived_is_told_with_the_script_where_there_is_one() -> None:
    request = {"instance_types": ("t3.micro",)}

    by_script = sentences.code_verified(RunRequest(script="train.py", **request), 302)  # type: ignore[arg-type]
    by_command = sentences.code_verified(RunRequest(command=("make",), **request), 1)  # type: ignore[arg-type]

    assert by_script == "Code sync verified: script and directories found (302 files)."
    assert by_command == "Code sync verified: files and directories found (1 file)."
