"""One local cloud for all tests of runs."""

from collections.abc import Iterator

import pytest

from runctl.local.cloud import LocalCloud
from tests.local.runs.cloud import Cloud
from tests.local.runs.project import write_project

BOOT_DELAY_S = 0.5
"""Long enough to interrupt a machine that is still pending."""


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud with the real template deployed, taken down at the end."""
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    local = LocalCloud(root / ".runctl" / "local")
    local.up(boot_delay_s=BOOT_DELAY_S, say=lambda _: None)
    try:
        yield Cloud(root, local)
    finally:
        local.down(say=lambda _: None)
