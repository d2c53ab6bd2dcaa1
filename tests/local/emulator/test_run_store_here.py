"""The contract suite of the runs store, once more, over the local cloud's DynamoDB.

What the store rests on: Amazon DynamoDB Developer Guide, "Condition expressions" and "Amazon DynamoDB Transactions: How
it works".
"""

from uuid import uuid4

import pytest

from runctl.store.runs import RunsTable
from tests.contract import test_run_store as suite
from tests.contract.runs_table import make_table
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

ended = suite.ended
globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})


@pytest.fixture
def store(services: Services) -> RunsTable:
    """An empty store on a table of its own, with the pauses it makes on AWS."""
    client = services.client("dynamodb")
    name = f"runs-{uuid4().hex[:8]}"
    make_table(client, name)
    return RunsTable(name, client)
