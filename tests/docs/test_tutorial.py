"""The tutorial, done: each of its command lines in order, as it stands there, in a folder with its own script."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answers import problem_of_answer
from tests.docs.command_lines import REPOSITORY

pytestmark = pytest.mark.local_cloud

PAGE = REPOSITORY / "docs" / "tutorial.md"
LIMIT_S = 120.0


@dataclass
class Reader:
    """Somebody who does what the page says."""

    folder: Path
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Each command line, and what it printed to stdout."""

    def do(self, line: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "runctl_cli", *shlex.split(line, comments=True)[1:]],
            cwd=self.folder,
            env={**os.environ, "XDG_CACHE_HOME": str(self.folder.parent / "cache")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        self.told.append((line, done.stdout))

    def run(self) -> dict[str, Any]:
        """Ask for the newest run, in JSON; the answer is as published."""
        asked = [sys.executable, "-m", "runctl_cli", "--output", "json", "status", "last"]
        document = json.loads(subprocess.run(asked, cwd=self.folder, capture_output=True, text=True, check=True).stdout)
        assert problem_of_answer(document) is None
        run: dict[str, Any] = document["data"]
        return run

    def wait_until(self, is_so: Callable[[dict[str, Any]], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not is_so(self.run()):
            assert time.monotonic() < end, self.run()
            time.sleep(0.3)

    def of(self, line: str) -> list[str]:
        """What this line printed, each time it was given."""
        return [text for given, text in self.told if given == line]


def _has_saved(run: dict[str, Any]) -> bool:
    return run["checkpoint"] is not None


def _has_ended(run: dict[str, Any]) -> bool:
    return run["ended_at"] is not None


MOMENTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "runctl local interrupt last --notice 5s": _has_saved,
    "runctl cancel last": _has_saved,
    "runctl checkpoint list last": _has_ended,
}
"""What a reader sees before going on."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("tutorial") / "line"
    folder.mkdir()
    text = PAGE.read_text()
    (script,) = re.findall(r"```python\n(.+?)```", text, re.DOTALL)
    (folder / "train.py").write_text(script)
    lines = [line for block in re.findall(r"```sh\n(.+?)```", text, re.DOTALL) for line in block.splitlines()]
    reader = Reader(folder)
    try:
        for line in lines:
            if line in MOMENTS:
                reader.wait_until(MOMENTS[line])
            reader.do(line)
        yield reader
    finally:
        if "runctl local down" not in dict(reader.told):
            reader.do("runctl local down")


def test_every_line_of_the_page_was_done(reader: Reader) -> None:
    lines = re.findall(r"^runctl .+$", PAGE.read_text(), re.MULTILINE)

    assert [line for line, _ in reader.told] == lines
    assert len(lines) > 15


def test_first_run_prints_what_the_script_printed(reader: Reader) -> None:
    first, _ = reader.of("runctl logs last")

    assert "step 20/20" in first
    assert "\ndone\n" in first


def test_interrupted_run_went_on_from_where_it_was(reader: Reader) -> None:
    _, log = reader.of("runctl logs last")
    _, status = reader.of("runctl status last")

    assert "going on from step" in log
    assert "SPOT_INTERRUPTION" in status
    assert "SUCCEEDED" in status


def test_resumed_run_did_not_begin_again(reader: Reader) -> None:
    (listed,) = reader.of("runctl checkpoint list last")
    (runs,) = reader.of("runctl ps")

    assert "step-" in listed
    assert "CANCELLED" in runs


def test_results_are_in_the_folder(reader: Reader) -> None:
    results = reader.folder / "results"

    assert float((results / "output" / "slope.txt").read_text()) == pytest.approx(3, abs=0.5)
    assert [json.loads(path.read_text())["step"] for path in (results / "checkpoints").iterdir()] == [100]
