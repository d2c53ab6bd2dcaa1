"""A local cloud of its own for tests that take the stack down, and one for small stacks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runctl.aws.change_sets import ChangeSets
from runctl.client.clients import Clients, find_clients
from runctl.local.cloud import LocalCloud
from tests.local.deployment.stacks import SMALL
from tests.local.emulator.assembly import write_assembly
from tests.local.runs.cloud import Cloud
from tests.local.runs.project import write_project


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud with the real template deployed, taken down at the end."""
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    local = LocalCloud(root / ".runctl" / "local")
    local.up(say=lambda _: None)
    try:
        yield Cloud(root, local)
    finally:
        local.down(say=lambda _: None)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """An emulated account in which only small stacks are deployed."""
    root: Path = tmp_path_factory.mktemp("account")
    local = LocalCloud(root / "state", assembly_dir=write_assembly(root / "assembly", SMALL))
    local.up(say=lambda _: None)
    try:
        yield find_clients(environment=local.environment())
    finally:
        local.down(say=lambda _: None)


@pytest.fixture
def empty_account(account: Clients) -> Clients:
    """The same without a stack."""
    change_sets = ChangeSets(account.get("cloudformation"))
    stack = change_sets.stack()
    if stack is not None:
        change_sets.protect(is_protected=False)
        change_sets.delete(stack.stack_id)
    return account
