"""A run's money on the local cloud: it saves and stops before it is used up, and what it held is let go."""

from decimal import Decimal

from tests.local.runs.cloud import Cloud


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
    assert reserved == [0, 0, 0]
