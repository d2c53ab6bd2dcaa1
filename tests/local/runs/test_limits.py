"""A run's money on the local cloud: it saves and stops before it is used up, and what it held is let go."""

from decimal import Decimal

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_a_budget_refuses_a_run_before_anything_is_made_until_it_is_raised(cloud: Cloud) -> None:
    words = ("train", "count.py", "--instance-type", "t3.micro", "--yes", "--max-cost", "0.5")
    try:
        small = cloud.runctl("budget", "set", "project", "--period", "month", "--usd", "0.001")
        refused = cloud.runctl(*words, "--", "3", "0.1")
        larger = cloud.runctl("budget", "set", "project", "--period", "month", "--usd", "50")
        run_id = cloud.train("count.py", "3", "0.1", options=("--max-cost", "0.5"))

        assert (small.exit_code, larger.exit_code) == (0, 0), (small, larger)
        assert refused.exit_code == 5, refused
        (error,) = refused.document["errors"]
        assert error["code"] == "budget"
        assert "has no room for $0.5000" in error["message"]
        assert "let the budget be raised" in error["hint"]
        assert cloud.wait_for_end(run_id)["status"] == "SUCCEEDED", cloud.story(run_id)
        shown = cloud.runctl("budget", "show", "project").data
        assert shown["reserved_usd"] == 0
        assert shown["periods"]["month"]["budget"]["amount_usd"] == 50
    finally:
        cloud.runctl("budget", "delete", "project", "--period", "month")


def test_a_run_saves_and_stops_before_its_money_is_used_up(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "5000", "0.1", options=("--max-cost", "0.00056"))

    run = cloud.wait_for_end(run_id, timeout_s=180)

    assert (run["status"], run["reason"]) == ("STOPPED", "BUDGET"), cloud.story(run_id)
    assert f"runctl resume {run_id} --max-cost" in cloud.wait_for_event(run_id, "limit_near")["text"]
    log = cloud.runctl("logs", run_id, output="text").stdout
    assert run["checkpoint"]["step"] == int(log.split("saved at ")[1].split()[0])
    waited = cloud.runctl("wait", run_id)
    assert waited.exit_code == 5, waited
    reserved = [
        Decimal(item["reserved_usd"]["N"])
        for item in cloud.client("dynamodb").scan(TableName=cloud.budgets_table())["Items"]
        if item["pk"]["S"] == "LEDGER"
    ]
    assert len(reserved) >= 3  # user, project, everybody; others may have been given budgets by other tests
    assert not any(reserved)
