"""One local cloud for all tests of runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runctl.local.cloud import LocalCloud
from tests.local.runs.cloud import Cloud
from tests.local.runs.project import write_project

BOOT_DELAY_S = 0.5
"""Long enough to interrupt a machine that is still pending."""


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud with the real template deployed, taken down at the end."""
    yield from _cloud(tmp_path_factory.mktemp("project"), BOOT_DELAY_S)


@pytest.fixture
def slow_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud of its own whose machines are pending for longer than a busy computer keeps a test waiting."""
    yield from _cloud(tmp_path_factory.mktemp("slow"), 4.0)


@pytest.fixture
def cold_cloud(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A local cloud of its own whose machines begin without anybody's cache of packages, as on EC2."""
    monkeypatch.setenv("RUNCTL_LOCAL_COLD_CACHES", "1")
    yield from _cloud(tmp_path_factory.mktemp("cold"), BOOT_DELAY_S)


def _cloud(root: Path, boot_delay_s: float) -> Iterator[Cloud]:
    write_project(root)
    local = LocalCloud(root / ".runctl" / "local")
    local.up(boot_delay_s=boot_delay_s, say=lambda _: None)
    try:
        yield Cloud(root, local)
    finally:
        local.down(say=lambda _: None)
