"""The contract suites of runs and budgets, once more, over the local cloud's DynamoDB.

What the store rests on: Amazon DynamoDB Developer Guide, "Condition expressions" and "Amazon DynamoDB Transactions: How
it works".
"""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from runctl.controller.ports import RunStore
from runctl.model.budget import ACCOUNT, BudgetPeriod, Refusal
from runctl.model.ids import RunId
from runctl.model.run import Run
from runctl.policy import budget_ledger
from runctl.store.budgets import BudgetsTable
from runctl.store.runs import RunsTable
from tests.contract import test_budget_store as budget_suite
from tests.contract import test_run_store as suite
from tests.contract.budgets_table import make_budgets_table
from tests.contract.examples import a_run
from tests.contract.runs_table import make_table
from tests.contract.stores import Stores
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

ended = suite.ended
for module in (suite, budget_suite):
    globals().update({name: test for name, test in vars(module).items() if name.startswith("test_")})


@pytest.fixture
def store(services: Services) -> RunStore:
    """An empty store on a table of its own, with the pauses it makes on AWS."""
    client = services.client("dynamodb")
    return _both(client).runs


@pytest.fixture
def stores(services: Services) -> Stores:
    """Both tables, empty."""
    return _both(services.client("dynamodb"))


def _both(client: Any) -> Stores:
    name = uuid4().hex[:8]
    make_table(client, f"runs-{name}")
    make_budgets_table(client, f"budgets-{name}")
    budgets = BudgetsTable(f"budgets-{name}", client)
    return Stores(RunsTable(f"runs-{name}", client, budgets=budgets), budgets)


def test_a_hundred_admissions_at_once_against_a_budget_for_ten_admit_ten(stores: Stores) -> None:
    fresh = budget_ledger.opened(ACCOUNT, budget_suite.NOON)
    stores.budgets.set_budget(fresh, BudgetPeriod.MONTH, budget_suite.a_budget("10"), is_new=True)
    runs = [a_run(RunId(f"r-1hqz5yk{number:05d}")) for number in range(100)]

    def is_admitted(run: Run) -> bool:
        while True:
            booking = budget_ledger.admit(run, Decimal(1), budget_suite.ledgers(stores), budget_suite.NOON)
            if isinstance(booking, Refusal):
                return False
            if stores.budgets.write(booking):
                return True

    with ThreadPoolExecutor(max_workers=100) as threads:
        admitted = list(threads.map(is_admitted, runs))

    assert sum(admitted) == 10
    assert budget_suite.sums(stores, BudgetPeriod.MONTH) == (Decimal(10), 0, Decimal(10))
