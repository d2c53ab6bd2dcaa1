"""What is added up of money in the runs table."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import boto3
import pytest
from moto import mock_aws

from runctl.controller.ports import RunStore, SpendingLedger
from runctl.model.figures import Figures, RunFigures
from runctl.store.ledger import RUNS_AN_ITEM, LedgerTable
from runctl.store.runs import RunsTable
from tests.contract.examples import FIRST, INSTANCE, RUN_ID, START, a_run, a_settlement, a_spending, after, an_attempt
from tests.contract.runs_table import REGION, TABLE, make_table, no_sleep
from tests.fakes.runs import InMemoryRunStore


@pytest.fixture(params=["DynamoDB", "in memory"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[RunStore, SpendingLedger]]:
    """A store and its ledger, of each implementation."""
    if request.param == "in memory":
        memory = InMemoryRunStore()
        yield memory, memory
        return
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_table(client)
        yield RunsTable(TABLE, client, sleep=no_sleep), LedgerTable(TABLE, client)


def some_figures(runs: int = 1) -> Figures:
    run = RunFigures(usd=Decimal("1.5"), usd_per_hour=Decimal("0.25"), project="vision", user="ada")
    return Figures(
        at=after(60),
        month="2026-03",
        month_usd=Decimal("3.25"),
        usd_per_hour=Decimal("0.25"),
        forecast_usd=Decimal(4),
        by_project={"vision": Decimal("1.5")},
        by_user={"ada": Decimal("1.5")},
        by_pool={"g5.xlarge us-east-1a spot": Decimal("0.25")},
        runs={f"r-{number:04d}": run for number in range(runs)},
    )


def test_a_settled_machine_stands_in_the_ledger_and_in_its_months_sum(both: tuple[RunStore, SpendingLedger]) -> None:
    store, ledger = both
    store.create_run(a_run())
    store.begin_attempt(a_run(attempt=FIRST), an_attempt(instance_id=INSTANCE, launched_at=START, gone_at=after(600)))
    (attempt,) = store.unsettled_attempts()
    day = after(600).date()

    for _ in range(2):
        store.settle(attempt, a_settlement(), a_spending())

    assert list(ledger.spendings(day, day)) == [a_spending()]
    assert list(ledger.spendings(day - timedelta(days=9), day + timedelta(days=9))) == [a_spending()]
    assert list(ledger.spendings(day + timedelta(days=1), day + timedelta(days=9))) == []
    assert (ledger.month_usd("2026-03"), ledger.month_usd("2026-04")) == (Decimal("1.25"), Decimal(0))


@pytest.mark.parametrize(("settled_after_days", "is_late"), [(0, False), (3, True)])
def test_a_machine_settled_too_late_for_its_days_digest_stands_on_the_day_of_its_settlement_too(
    both: tuple[RunStore, SpendingLedger], settled_after_days: int, is_late: bool
) -> None:
    store, ledger = both
    store.create_run(a_run())
    store.begin_attempt(a_run(attempt=FIRST), an_attempt(instance_id=INSTANCE, launched_at=START, gone_at=after(600)))
    (attempt,) = store.unsettled_attempts()
    ended = a_spending().ended_at
    settled = ended + timedelta(days=settled_after_days)
    line = a_spending().model_copy(update={"settled_at": settled})

    store.settle(attempt, a_settlement(), line)

    assert list(ledger.spendings(ended.date(), ended.date())) == [line]
    assert list(ledger.late_spendings(ended.date(), settled.date())) == [line] * is_late
    assert list(ledger.late_spendings(ended.date(), settled.date() - timedelta(days=1))) == []


@pytest.mark.parametrize("runs", [0, 1, RUNS_AN_ITEM + 1])
def test_figures_are_read_as_they_were_kept(both: tuple[RunStore, SpendingLedger], runs: int) -> None:
    _, ledger = both

    ledger.save_figures(some_figures(runs))

    assert ledger.figures() == some_figures(runs)


def test_figures_of_fewer_runs_leave_none_of_an_older_look(both: tuple[RunStore, SpendingLedger]) -> None:
    _, ledger = both
    ledger.save_figures(some_figures(RUNS_AN_ITEM + 1).model_copy(update={"at": after(0)}))

    ledger.save_figures(some_figures(1))

    assert ledger.figures() == some_figures(1)


def test_before_the_first_look_there_are_no_figures(both: tuple[RunStore, SpendingLedger]) -> None:
    assert both[1].figures() is None


def test_what_people_were_told_is_noted(both: tuple[RunStore, SpendingLedger]) -> None:
    store, _ = both
    before = store.was_told(RUN_ID, "failed")
    store.record_told(RUN_ID, "failed", START)
    store.record_told(RUN_ID, "failed", after(9))

    assert (before, store.was_told(RUN_ID, "failed"), store.was_told(RUN_ID, "money")) == (False, True, False)
    assert date(2026, 3, 1) == START.date()
