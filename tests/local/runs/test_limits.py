"""A run's money on the local cloud: it saves and stops before it is used up, and what it held is let go."""

from decimal import Decimal

import pytest

from tests.local.runs.cloud import Cloud, Command

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
    assert f"runctl extend {run_id} --max-cost +" in cloud.wait_for_event(run_id, "limit_near")["text"]
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


def test_a_run_near_its_limits_is_extended_and_goes_on_beyond_the_old_ones(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "5000", "0.1", options=("--max-runtime", "60s", "--max-cost", "0.5"))
    near = cloud.wait_for_event(run_id, "limit_near", timeout_s=150)["text"]

    refused = _with_budget(cloud, "0.6", "extend", run_id, "--max-runtime", "+1h", "--max-cost", "+0.5")
    after_refusal = cloud.api.run(run_id).spec
    extended = cloud.runctl("extend", run_id, "--max-runtime", "+1h", "--max-cost", "+0.5")

    try:
        assert f"runctl extend {run_id} --max-runtime +1h" in near
        assert refused.exit_code == 5, refused
        assert "Nothing was changed" in refused.document["errors"][0]["message"]
        assert (after_refusal.max_runtime_s, after_refusal.max_cost_usd) == (60, Decimal("0.5"))
        assert extended.exit_code == 0, extended
        assert (extended.data["max_runtime_s"], extended.data["max_cost_usd"]) == (3_660, 1.0)
        said = "the run was extended: it may train for 3660 s in all"
        cloud.wait_until(lambda: said in cloud.runctl("logs", run_id, output="text").stdout, said, 60, pause_s=1)
        at_the_old_limit = _steps(cloud, run_id)
        cloud.wait_until(lambda: _steps(cloud, run_id) > at_the_old_limit + 50, "more steps", 60, pause_s=1)
        assert cloud.status(run_id)["status"] == "RUNNING", cloud.story(run_id)
    finally:
        cloud.runctl("cancel", run_id, "--now")
    assert cloud.wait_for_end(run_id)["status"] == "CANCELLED"
    late = cloud.runctl("extend", run_id, "--max-cost", "+1")
    assert late.exit_code == 2
    assert f"runctl resume {run_id}" in late.document["errors"][0]["hint"]


def _with_budget(cloud: Cloud, usd: str, *words: str) -> Command:
    """Run a command while the project has a budget."""
    assert cloud.runctl("budget", "set", "project", "--period", "total", "--usd", usd).exit_code == 0
    try:
        return cloud.runctl(*words)
    finally:
        cloud.runctl("budget", "delete", "project", "--period", "total")


def _steps(cloud: Cloud, run_id: str) -> int:
    """How far the training has counted."""
    log = cloud.runctl("logs", run_id, output="text").stdout
    return max((int(line.split()[-1]) for line in log.splitlines() if line.startswith("step ")), default=0)
