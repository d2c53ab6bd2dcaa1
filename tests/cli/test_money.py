"""`runctl estimate`, `cost`, `resources` and `notify`."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from runctl.model.figures import Figures, RunFigures
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import Tag
from runctl.model.price import PriceSource, PriceStep, Spending
from runctl.model.run import PurchaseOption
from runctl_cli.values import usd_text
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt


def data(runctl: CommandLine, *words: str) -> dict[str, Any]:
    """Run a command in JSON; it must succeed."""
    ended = runctl("--output", "json", *words)
    assert ended.exit_code == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)["data"]
    return answer


def a_machine(**fields: Any) -> MachineView:
    defaults: dict[str, Any] = {
        "instance_id": InstanceId("i-0123456789abcdef0"),
        "state": MachineState.RUNNING,
        "instance_type": "t3.micro",
        "availability_zone": "us-east-1a",
        "purchase_option": PurchaseOption.SPOT,
        "launched_at": NOW - timedelta(hours=2),
        "public_address": "198.51.100.7",
        "private_address": "10.0.0.7",
        "tags": {Tag.RUN.value: "r-1hx3k7pabcde", Tag.PROJECT.value: "vision", Tag.USER.value: "ada"},
    }
    return MachineView(**(defaults | fields))


# -- estimate ----------------------------------------------------------------------------------------------------


def test_estimate_lists_pools_in_the_order_in_which_they_are_tried(runctl: CommandLine) -> None:
    words = ("--instance-type", "g5.xlarge", "--instance-type", "t3.micro", "--spot", "--max-runtime", "10h")

    told = data(runctl, "estimate", *words)

    pools = [(pool["instance_type"], pool["availability_zone"]) for pool in told["pools"]]
    assert pools == [
        ("g5.xlarge", "us-east-1b"),
        ("g5.xlarge", "us-east-1a"),
        ("t3.micro", "us-east-1b"),
        ("t3.micro", "us-east-1a"),
    ]
    dearest = told["pools"][1]
    assert told["total_usd"] == dearest["total_usd"] == pytest.approx(10 * dearest["usd_per_hour"], abs=0.001)
    assert dearest["saved_usd"] == pytest.approx(10 * 1.006 * 0.7, abs=0.001)


def test_estimate_for_people_is_a_table_and_a_sum(runctl: CommandLine) -> None:
    ended = runctl("estimate", "--instance-type", "g5.xlarge", "--max-runtime", "10h")

    assert ended.exit_code == 0
    assert "g5.xlarge" in ended.stdout
    assert "any" in ended.stdout
    assert "The most for 10 h is $10.22." in ended.stdout
    assert runctl.deployment.made == 0


def test_estimate_says_when_a_price_is_the_bundled_tables(runctl: CommandLine) -> None:
    runctl.deployment.catalogue.on_demand_source = PriceSource.BUNDLED

    assert data(runctl, "estimate")["rests_on_bundled_prices"]
    assert "may be old" in runctl("estimate").stdout


def test_estimate_of_an_unknown_price_says_so(runctl: CommandLine) -> None:
    assert data(runctl, "estimate", "--instance-type", "x9.huge")["total_usd"] is None
    assert "is not known" in runctl("estimate", "--instance-type", "x9.huge").stdout


# -- cost --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_cost", "is_told"), [("0.001", True), ("5", False), (None, False)])
@pytest.mark.parametrize("output", ["text", "json"])
def test_a_limit_that_does_not_pay_for_saving_is_told(
    runctl: CommandLine, output: str, max_cost: str | None, is_told: bool
) -> None:
    words = ("--output", output, "estimate", "--instance-type", "t3.micro", "--max-runtime", "10h")

    told = runctl(*words, *(("--max-cost", max_cost) if max_cost else ()))

    assert told.exit_code == 0
    assert ("may be exceeded" in told.stderr) == is_told
    assert ("--max-cost" in told.stderr) == is_told


def test_cost_of_a_run_shows_each_machine(runctl: CommandLine) -> None:
    attempt = an_attempt(launched_at=NOW - timedelta(hours=2), gone_at=NOW)
    run = runctl.deployment.add(a_run(estimated_usd=Decimal(1)), attempt)
    runctl.deployment.catalogue.moved = [
        PriceStep(since=NOW - timedelta(hours=3), usd_per_hour=Decimal("0.10")),
        PriceStep(since=NOW - timedelta(hours=1), usd_per_hour=Decimal("0.30")),
    ]

    told = data(runctl, "cost", run.run_id)

    (machine,) = told["machines"]
    assert machine["machine_usd"] == 0.4
    assert (machine["price_changes"], machine["is_settled"], told["is_settled"]) == (1, False, False)
    assert told["accrued_usd"] == pytest.approx(0.4 + machine["disk_and_address_usd"])
    assert "not final yet" in runctl("cost", run.run_id).stdout


def a_line_of(project: str, usd: str, days_ago: int = 1) -> Spending:
    ended = NOW - timedelta(days=days_ago)
    return Spending(
        run_id=f"r-{project}",
        name=project,
        attempt=1,
        project=project,
        user="ada",
        machine="i-1",
        instance_type="g5.xlarge",
        availability_zone="us-east-1a",
        purchase_option="spot",
        launched_at=ended - timedelta(hours=1),
        ended_at=ended,
        usd=Decimal(usd),
        on_demand_usd=Decimal(9),
        recomputed_usd=Decimal(0),
    )


def test_cost_adds_up_what_was_spent_since(runctl: CommandLine) -> None:
    runctl.deployment.ledger.lines = [a_line_of("vision", "3"), a_line_of("text", "5", days_ago=20)]

    assert data(runctl, "cost")["total"]["usd"] == 3
    assert data(runctl, "cost", "--since", "30d")["total"]["usd"] == 8
    assert runctl("cost", "--since", "30d", "--by", "type").stdout.startswith("TYPE")
    assert "g5.xlarge spot" in runctl("cost", "--by", "type").stdout


def test_cost_tells_what_runs_now(runctl: CommandLine) -> None:
    run = RunFigures(usd=Decimal(1), usd_per_hour=Decimal("0.5"), project="vision", user="ada")
    runctl.deployment.ledger.seen = Figures(
        at=NOW,
        month="2026-11",
        month_usd=Decimal(7),
        usd_per_hour=Decimal("0.5"),
        forecast_usd=Decimal(4),
        runs={"r-live": run},
    )

    assert "1 open runs cost $0.50 an hour, $4.00 at most." in runctl("cost").stdout
    assert data(runctl, "cost")["running"]["usd"] == 1


def test_cost_tells_of_machines_that_are_not_in_the_ledger_yet(runctl: CommandLine) -> None:
    attempt = an_attempt(launched_at=NOW - timedelta(hours=2), gone_at=NOW)
    run = runctl.deployment.add(a_run(), attempt)
    runctl.deployment.catalogue.moved = [PriceStep(since=NOW - timedelta(hours=3), usd_per_hour=Decimal("0.10"))]

    told = data(runctl, "cost")["unsettled"]

    assert told == {"machines": 1, "usd": data(runctl, "cost", run.run_id)["accrued_usd"], "unpriced": 0}
    assert told["usd"] > 0.2
    assert "more so far on 1 that run, or ended in the last minutes." in runctl("cost").stdout


def test_the_digest_is_there_on_demand(runctl: CommandLine) -> None:
    runctl.deployment.ledger.lines = [a_line_of("vision", "3")]

    told = runctl("cost", "digest", "--since", "7d")

    assert told.exit_code == 0
    assert "Most expensive runs" in told.stdout
    assert data(runctl, "cost", "digest")["most_expensive"][0]["run_id"] == "r-vision"


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--by", "moon"), ("--since", "-3d")])
def test_what_makes_no_sense_is_refused(runctl: CommandLine, words: tuple[str, ...]) -> None:
    assert runctl("cost", *words).exit_code == 2


# -- resources ---------------------------------------------------------------------------------------------------


def test_resources_show_each_machine_with_what_it_costs(runctl: CommandLine) -> None:
    attempt = an_attempt(instance_id=InstanceId("i-0123456789abcdef0"), launched_at=NOW - timedelta(hours=2))
    runctl.deployment.add(a_run(), attempt)
    runctl.deployment.machines.put(a_machine())

    (told,) = data(runctl, "resources", "list")["resources"]

    assert (told["state"], told["has_run"], told["public_address"]) == ("running", True, "198.51.100.7")
    assert told["cost_usd"] == pytest.approx(2 * told["usd_per_hour"], abs=0.001)
    listed, costs = runctl("resources", "list").stdout, runctl("resources", "cost").stdout
    assert "198.51.100.7" in listed
    assert "COST" in listed
    assert "COST" in costs


@pytest.mark.parametrize("verb", ["list", "cost"])
def test_resources_end_with_what_all_machines_cost(runctl: CommandLine, verb: str) -> None:
    other = a_machine(instance_id=InstanceId("i-0000000000000cafe"), launched_at=datetime.now(UTC) - timedelta(hours=2))
    runctl.deployment.machines.put(a_machine(launched_at=datetime.now(UTC) - timedelta(hours=1)), other)
    each = data(runctl, "resources", verb)["resources"]

    last = runctl("resources", verb).stdout.splitlines()[-1]

    spent, hourly = (sum(Decimal(str(one[name])) for one in each) for name in ("cost_usd", "usd_per_hour"))
    assert last == f"2 machines: {usd_text(spent)} so far, {usd_text(hourly)} an hour."


def test_a_machine_without_a_run_is_priced_by_its_pool_and_named(runctl: CommandLine) -> None:
    runctl.deployment.machines.put(a_machine(tags={Tag.RUN.value: "r-gone"}))

    (told,) = data(runctl, "resources", "list")["resources"]

    assert not told["has_run"]
    assert told["usd_per_hour"] == pytest.approx(0.0104 * 0.3 + 0.0159589, abs=1e-5)
    assert "none (tag: r-gone)" in runctl("resources", "list").stdout


def test_the_summary_counts_machines_and_money(runctl: CommandLine) -> None:
    other = a_machine(instance_id=InstanceId("i-0000000000000cafe"), purchase_option=PurchaseOption.ON_DEMAND)
    runctl.deployment.machines.put(a_machine(), other)

    told = data(runctl, "resources", "summary")

    assert (told["machines"], told["without_run"], told["public_addresses"]) == (2, 2, 2)
    assert told["by_type"] == {"t3.micro on-demand": 1, "t3.micro spot": 1}
    text = runctl("resources", "summary").stdout
    assert "Machines   2, 2 of them without a run" in text
    assert f"Cost       {usd_text(Decimal(str(told['cost_usd'])))} so far" in text


def test_without_machines_it_says_so(runctl: CommandLine) -> None:
    ended = runctl("resources", "list")

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "No machine" in ended.stderr


# -- notify ------------------------------------------------------------------------------------------------------


def test_an_address_hears_until_it_is_removed(runctl: CommandLine) -> None:
    added = runctl("notify", "add", "email", "ada@example.org")
    listed = data(runctl, "notify", "list")["subscriptions"]
    removed = runctl("notify", "remove", "ada@example.org")

    assert "must confirm first" in added.stdout
    assert listed == [{"protocol": "email", "endpoint": "ada@example.org", "is_confirmed": False}]
    assert removed.exit_code == 0
    assert data(runctl, "notify", "list")["subscriptions"] == []


@pytest.mark.parametrize(
    "words",
    [("email", "nobody"), ("https", "ftp://example.org"), ("https", "http://example.org/x"), ("pigeon", "a@b.c")],
)
def test_what_is_no_address_is_refused_and_nothing_is_added(runctl: CommandLine, words: tuple[str, str]) -> None:
    assert runctl("notify", "add", *words).exit_code == 2
    assert runctl.deployment.subscriptions.found == []


def test_who_never_heard_cannot_be_removed(runctl: CommandLine) -> None:
    assert runctl("notify", "remove", "ada@example.org").exit_code == 3


def test_a_slack_webhook_hears_at_once(runctl: CommandLine) -> None:
    added = runctl("notify", "add", "slack-webhook", "https://hooks.slack.com/services/x/y/x")

    assert added.exit_code == 0
    assert [each.protocol for each in runctl.deployment.subscriptions.found] == ["slack-webhook"]


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com",
        "http://hooks.slack.com/services/x/y/secret",
        "https://hooks.slack.com:x/services/x/y/secret",
        "https://me:pw@hooks.slack.com/services/x/y/secret",
        "https://hooks.slack.com/****secret",
        "https://hooks.slack.com/services/" + "secret" * 400,
    ],
)
def test_what_is_no_webhook_is_refused_without_repeating_it(runctl: CommandLine, url: str) -> None:
    refused = runctl("notify", "add", "slack-webhook", url)

    assert refused.exit_code == 2
    assert "secret" not in refused.stdout + refused.stderr
    assert runctl.deployment.subscriptions.found == []
