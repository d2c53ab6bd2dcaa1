"""One server for the tests of this folder that do not end it, and others for those that do."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local.machines.cloud import Cloud

StartCloud = Callable[[float], Cloud]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A running server."""
    cloud = Cloud.start(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.stop()


@pytest.fixture(scope="session")
def template(cloud: Cloud) -> str:
    """A launch template whose user data does nothing."""
    return cloud.make_template("plain")


@pytest.fixture
def start_cloud(cloud: Cloud, tmp_path: Path) -> Iterator[StartCloud]:
    """Start a server of the test's own, with a boot delay in seconds; a second one finds what the first left."""
    # Cutting the service models costs a second of a processor, and is done once.
    shutil.copytree(cloud.state_dir / "cache" / "models", tmp_path / "cache" / "models")
    started: list[Cloud] = []

    def start(boot_delay_s: float) -> Cloud:
        started.append(Cloud.start(tmp_path, boot_delay_s))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.stop()
