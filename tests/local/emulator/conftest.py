"""One local cloud for all tests of the services' behaviour."""

from collections.abc import Iterator

import pytest

from runctl.local.cloud import LocalCloud
from runctl.model.names import STACK_NAME
from tests.local.emulator.assembly import write_assembly
from tests.local.emulator.functions import HANDLERS, QUEUES, SOURCE, TEMPLATE, output_of
from tests.local.emulator.services import Services


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud with the test functions deployed, taken down at the end."""
    root = tmp_path_factory.mktemp("emulator")
    assembly_dir = write_assembly(root / "assembly", TEMPLATE, {"functions.py": SOURCE})
    cloud = LocalCloud(root / "state", assembly_dir=assembly_dir)
    cloud.up(say=lambda _: None)
    yield cloud
    cloud.down(say=lambda _: None)


@pytest.fixture(scope="session")
def services(local_cloud: LocalCloud) -> Services:
    """Its services, functions and queues."""
    return services_of(local_cloud)


def services_of(cloud: LocalCloud) -> Services:
    """The services of a local cloud on which the test template is deployed."""
    environment = cloud.environment()
    bare = Services(environment, {}, {}, {})
    stacks = bare.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stacks[0]["Outputs"]}
    functions = {handler: outputs[output_of(handler)] for handler in HANDLERS}
    return Services(environment, functions, {name: outputs[name] for name in QUEUES}, outputs)
