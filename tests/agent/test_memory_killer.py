"""The kernel's own memory killer, let loose on a training in a control group; needs the right to make one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runctl.agent import out_of_memory
from tests.agent.attempt import Attempt

GROUPS = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
LIMIT = 64 * 1024 * 1024


@pytest.fixture
def group() -> Iterator[Path]:
    """A group that may have 64 MiB."""
    for root in GROUPS:
        made = root / f"runctl-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        for limit in ("memory.limit_in_bytes", "memory.max"):
            if (made / limit).exists():
                (made / limit).write_text(str(LIMIT))
                yield made
                made.rmdir()
                return
        made.rmdir()
    pytest.skip("no control group with a limit of memory can be made here")


def test_training_that_the_kernel_killed_for_want_of_memory_is_told_so_with_its_figures(
    tmp_path: Path, group: Path
) -> None:
    attempt = Attempt(
        tmp_path,
        f"import os, pathlib; pathlib.Path({str(group / 'cgroup.procs')!r}).write_text(str(os.getpid()))\n"
        "print('training', flush=True)\nheld = [bytearray(8 * 1024 * 1024) for _ in range(40)]",
    )
    attempt.count_memory_kills = out_of_memory.kills
    attempt.look_at_memory = out_of_memory.memory

    ended = attempt.run()

    assert (ended.why, ended.signal) == ("out_of_memory", 9)
    assert "MiB" in ended.message or "GiB" in ended.message
