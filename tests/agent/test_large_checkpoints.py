"""A checkpoint of any size takes the same memory: files of gigabytes that are holes, uploaded to an S3 that keeps
nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runctl.agent.object_store import PART_BYTES
from tests.agent.aws_sink import Sink, aws_sink

MIB = 1024 * 1024
LIMIT_MIB = 16
"""For connections and threads: two parts. Of the files themselves nothing stays in memory."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with aws_sink() as serving:
        yield serving


def _upload(folder: Path, sink: Sink) -> dict[str, float]:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": sink.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    command = [sys.executable, "-m", "tests.agent.upload_alone", str(folder)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(found.stdout)


def test_memory_does_not_grow_with_the_checkpoint(tmp_path: Path, sink: Sink) -> None:
    shards = tmp_path / "checkpoints" / "step-1"
    shards.mkdir(parents=True)
    for number in range(5):
        with (shards / f"shard-{number}").open("wb") as file:
            file.truncate(128 * MIB)
            file.seek(number * MIB)
            file.write(bytes([number + 1]))

    took = _upload(tmp_path / "checkpoints", sink)

    assert sorted(size for key, size in sink.sizes.items() if "/files/" in key) == [128 * MIB] * 5
    assert took["peak_mib"] - took["before_mib"] < LIMIT_MIB
    assert max(sink.parts.values()) == 128 * MIB // PART_BYTES
