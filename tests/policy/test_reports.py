"""What was spent in some days, added up and told."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from runctl.model.figures import Figures, RunFigures
from runctl.model.price import Spending
from runctl.policy.reports import GroupBy, report, report_text
from tests.factories import after

DAY = 86_400
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 7)


def a_line(run: str = "r-one", usd: str = "2", **fields: Any) -> Spending:
    """A settled machine."""
    defaults: dict[str, Any] = {
        "run_id": run,
        "name": f"name of {run}",
        "attempt": 1,
        "project": "vision",
        "user": "ada",
        "machine": "i-1",
        "instance_type": "g5.xlarge",
        "availability_zone": "us-east-1a",
        "purchase_option": "spot",
        "launched_at": after(0),
        "ended_at": after(3_600),
        "usd": Decimal(usd),
        "on_demand_usd": Decimal(usd) * 3,
        "recomputed_usd": Decimal(0),
    }
    return Spending(**(defaults | fields))


def some_figures(**fields: Any) -> Figures:
    defaults: dict[str, Any] = {
        "at": after(9_000),
        "month": "2026-03",
        "month_usd": Decimal("12.5"),
        "usd_per_hour": Decimal("0.50"),
        "forecast_usd": Decimal(4),
        "runs": {"r-live": RunFigures(usd=Decimal(1), usd_per_hour=Decimal("0.5"), project="vision", user="ada")},
    }
    return Figures(**(defaults | fields))


def test_spending_is_added_up_by_project_user_type_and_run() -> None:
    lines = [
        a_line("r-one", "2"),
        a_line("r-one", "3", attempt=2, recomputed_usd=Decimal("0.5")),
        a_line("r-two", "4", project="text", user="bob", instance_type="p5.48xlarge", purchase_option="on-demand"),
    ]

    told = report(lines, FIRST, LAST, None)

    assert (told.total.usd, told.total.machines, len(told.total.runs)) == (Decimal(9), 3, 2)
    assert (told.total.saved_usd, told.total.recomputed_usd) == (Decimal(18), Decimal("0.5"))
    assert {name: sums.usd for name, sums in told.groups(GroupBy.PROJECT).items()} == {"vision": 5, "text": 4}
    assert list(told.groups(GroupBy.USER)) == ["ada", "bob"]
    assert list(told.groups(GroupBy.TYPE)) == ["g5.xlarge spot", "p5.48xlarge on-demand"]
    assert {name: len(sums.runs) for name, sums in told.groups(GroupBy.RUN).items()} == {"r-one": 1, "r-two": 1}


def test_a_report_tells_all_that_was_asked_for() -> None:
    text = report_text(report([a_line(), a_line("r-two", "4", user="bob")], FIRST, LAST, some_figures()))

    for word in (
        "2026-03-01 to 2026-03-07 (UTC): 2 runs on 2 machines",
        "Spent       $6.00",
        "Saved       $12.00",
        "By project",
        "By user",
        "Most expensive runs",
        "r-two  name of r-two",
        "1 run, $1.00 so far, $0.5000 an hour",
        "Forecast: $4.00 more until their limits. This month so far: $12.50.",
    ):
        assert word in text


def test_days_without_spending_and_runs_are_empty() -> None:
    assert report([], FIRST, LAST, None).is_empty
    assert report([], FIRST, LAST, some_figures(runs={})).is_empty
    assert not report([], FIRST, LAST, some_figures()).is_empty
    assert not report([a_line()], FIRST, LAST, None).is_empty


def test_a_run_that_cost_far_more_than_others_is_named() -> None:
    usual = [a_line(f"r-{n}", "2") for n in range(5)]

    assert report(usual, FIRST, LAST, None).anomalies == ()
    (found,) = report([*usual, a_line("r-odd", "20")], FIRST, LAST, None).anomalies
    assert found.startswith("Run r-odd cost $20.00")


def test_a_day_on_which_far_more_was_spent_is_named() -> None:
    days = [a_line(f"r-{n}", "2", ended_at=after(n * DAY)) for n in range(6)]
    odd = [a_line(f"r-odd{n}", "2", ended_at=after(3 * DAY)) for n in range(5)]

    assert report(days, FIRST, LAST, None).anomalies == ()
    (found,) = report([*days, *odd], FIRST, LAST, None).anomalies
    assert found.startswith(f"On {(after(3 * DAY)).date()} $12.00 was spent")


def test_work_paid_again_bundled_and_unknown_prices_are_named() -> None:
    again = report([a_line(usd="10", recomputed_usd=Decimal(3))], FIRST, LAST, None).anomalies
    bundled = report([a_line(bundled_price=True)], FIRST, LAST, None).anomalies
    unpriced = report([], FIRST, LAST, some_figures(unpriced=2)).anomalies

    assert ["checkpoints more often" in again[0], "table of this version" in bundled[0], "2 open" in unpriced[0]] == [
        True,
        True,
        True,
    ]


def test_small_sums_are_never_odd() -> None:
    lines = [a_line(f"r-{n}", "0.01", ended_at=after(n * DAY)) for n in range(6)]

    assert report([*lines, a_line("r-odd", "0.50")], FIRST, LAST, None).anomalies == ()
    assert timedelta(days=6) == LAST - FIRST
