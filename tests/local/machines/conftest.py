"""One server for the tests of this folder that do not end it."""

from collections.abc import Iterator

import pytest

from tests.local.machines.cloud import Cloud


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
