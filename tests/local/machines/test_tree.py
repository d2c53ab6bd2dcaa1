"""How a machine's processes are found, by /proc and by ps."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from runctl.local.machines.inside.tree import MARKER, kill_members, members
from tests.local.machines.cloud import is_alive

pytestmark = pytest.mark.local_cloud

INSTANCE = f"i-{os.getpid():017x}"
WAYS = [
    pytest.param(True, id="proc", marks=pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")),
    pytest.param(False, id="ps"),
]


@pytest.fixture
def processes() -> Iterator[dict[str, int]]:
    """A marked process, its child that emptied its environment, and one of another machine."""
    script = "env -i sleep 300 >/dev/null & echo $!; exec sleep 301"
    marked = start(["sh", "-c", script], INSTANCE)
    other = start(["sleep", "302"], f"{INSTANCE[:-1]}x")
    assert marked.stdout is not None
    child = int(marked.stdout.readline())
    time.sleep(0.2)  # for both to have become sleep
    yield {"marked": marked.pid, "child": child, "other": other.pid}
    for instance_id in (INSTANCE, f"{INSTANCE[:-1]}x"):
        kill_members(instance_id)
    for process in (marked, other):
        process.communicate()


def start(command: list[str], instance_id: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, MARKER: instance_id}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize("use_proc", WAYS)
def test_members_are_the_marked_and_their_descendants(processes: dict[str, int], use_proc: bool) -> None:
    assert members(INSTANCE, use_proc=use_proc) == {processes["marked"], processes["child"]}


@pytest.mark.parametrize("use_proc", WAYS)
def test_first_process_is_not_among_them_but_its_children_are(processes: dict[str, int], use_proc: bool) -> None:
    found = members("i-nobody", processes["marked"], use_proc=use_proc)

    assert found == {processes["child"]}


def test_all_members_are_killed_and_no_others(processes: dict[str, int]) -> None:
    left = kill_members(INSTANCE)

    assert left == set()
    assert not is_alive(processes["marked"])
    assert not is_alive(processes["child"])
    assert is_alive(processes["other"])
