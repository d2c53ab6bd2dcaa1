"""The independent backstop: a budget of AWS's own that comes and goes with the stack."""

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

ACCOUNT = "123456789012"


def _limits(cloud: Cloud) -> list[str]:
    found = cloud.client("budgets").describe_budgets(AccountId=ACCOUNT).get("Budgets", [])
    return [budget["BudgetLimit"]["Amount"] for budget in found]


def test_aws_budget_is_made_changed_and_removed_by_deployments(cloud: Cloud) -> None:
    words = ("deploy", "--yes", "--target", "local", "--aws-budget")

    made = cloud.runctl(*words, "200")
    after_made = _limits(cloud)
    changed = cloud.runctl(*words, "300")
    after_changed = _limits(cloud)
    removed = cloud.runctl(*words, "0")

    assert (made.exit_code, changed.exit_code, removed.exit_code) == (0, 0, 0), (made, changed, removed)
    assert [float(amount) for amount in (*after_made, *after_changed)] == [200.0, 300.0]
    assert _limits(cloud) == []
