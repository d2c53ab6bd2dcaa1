"""`runctl budget`: set, show, list, delete, and what is refused."""

from decimal import Decimal
from typing import Any

import pytest

from runctl.errors import PermissionDenied
from runctl.model.budget import ACCOUNT, Booking, Budget, BudgetAction, BudgetPeriod, Ledger, Scope
from runctl.policy import budget_ledger
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run

PROJECT = Scope.of_key("project#vision")


def period(runctl: CommandLine, scope: str, name: str = "month") -> Any:
    """What `budget show` says of one period."""
    ended = runctl.json("budget", "show", scope)
    assert ended.exit_code == 0, ended.stdout
    return ended.data["periods"][name]


def hold(runctl: CommandLine, usd: str) -> None:
    """Let an open run of the project hold money."""
    run = a_run("r-holding")
    budgets = runctl.deployment.budgets
    ledgers = {scope: budgets.ledger(scope) for scope in (ACCOUNT, PROJECT, Scope.of_key("user#ada"))}
    booking = budget_ledger.admit(run, Decimal(usd), ledgers, NOW)
    assert isinstance(booking, Booking)
    assert budgets.write(booking)


@pytest.mark.parametrize("scope", ["account", "project:vision", "user:ada", "project", "user"])
def test_a_budget_is_set_and_shown(runctl: CommandLine, scope: str) -> None:
    ended = runctl("budget", "set", scope, "--period", "month", "--usd", "$100")

    assert ended.exit_code == 0, ended.stderr
    told = period(runctl, scope)
    assert (told["spent_usd"], told["starts_at"], told["ends_at"]) == (
        0,
        "2026-11-01T00:00:00.000Z",
        "2026-12-01T00:00:00.000Z",
    )
    assert told["budget"] == {
        "amount_usd": 100,
        "left_usd": 100,
        "thresholds": [50, 80, 100],
        "action": "stop-new",
        "set_by": "ada",
        "set_at": "2026-11-24T09:30:00.000Z",
    }


def test_without_a_name_it_is_this_project(runctl: CommandLine) -> None:
    runctl("budget", "set", "project", "--period", "day", "--usd", "3")

    assert [ledger.scope for ledger in runctl.deployment.budgets.ledgers()] == [PROJECT]


def test_setting_again_keeps_what_is_not_given(runctl: CommandLine) -> None:
    words = ("budget", "set", "account", "--period", "week")
    runctl(*words, "--usd", "10", "--thresholds", "90, 30,90", "--action", "stop-all")

    assert runctl(*words, "--usd", "20").exit_code == 0

    ledger = runctl.deployment.budgets.ledger(ACCOUNT)
    assert ledger is not None
    budget = ledger.budgets[BudgetPeriod.WEEK]
    assert (budget.amount_usd, budget.thresholds, budget.action) == (20, (30, 90), BudgetAction.STOP_ALL)


def test_what_open_runs_hold_is_shown_as_reserved(runctl: CommandLine) -> None:
    hold(runctl, "30")

    ended = runctl("budget", "set", "project", "--period", "month", "--usd", "100")

    (line,) = [line for line in ended.stdout.splitlines() if " month " in line]
    assert line.split() == [
        "project",
        "vision",
        "month",
        "$100.00",
        "$0",
        "$30.00",
        "$70.00",
        "stop-new",
        "50",
        "%,",
        "80",
        "%,",
        "100",
        "%",
    ]
    assert period(runctl, "project")["budget"]["left_usd"] == 70
    assert period(runctl, "project", "day")["budget"] is None


def test_budgets_are_listed(runctl: CommandLine) -> None:
    hold(runctl, "1")
    runctl("budget", "set", "account", "--period", "total", "--usd", "500", "--action", "notify")
    runctl("budget", "set", "project:other", "--period", "day", "--usd", "0.5")

    listed = runctl("budget", "list")
    ledgers = runctl.json("budget", "list").data["ledgers"]

    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [
        ["account", "total", "$500.00"],
        ["project", "other", "day"],
    ]
    assert [(ledger["scope"], ledger["name"]) for ledger in ledgers] == [("account", None), ("project", "other")]
    assert ledgers[0]["periods"]["total"]["ends_at"] is None


def test_without_budgets_it_says_so(runctl: CommandLine) -> None:
    ended = runctl("budget", "list")

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "No budget is set" in ended.stderr


def test_a_deleted_budget_is_gone_and_its_sums_are_not(runctl: CommandLine) -> None:
    hold(runctl, "30")
    runctl("budget", "set", "project", "--period", "month", "--usd", "100")

    ended = runctl("budget", "delete", "project", "--period", "month")

    assert ended.exit_code == 0
    assert runctl.json("budget", "show", "project").data["reserved_usd"] == 30
    assert period(runctl, "project")["budget"] is None
    assert runctl.json("budget", "list").data["ledgers"] == []


@pytest.mark.parametrize(
    "words",
    [("delete", "account", "--period", "month"), ("show", "project:nobody"), ("delete", "user:x", "--period", "day")],
)
def test_what_was_never_set_is_not_found(runctl: CommandLine, words: tuple[str, ...]) -> None:
    ended = runctl("budget", *words)

    assert ended.exit_code == 3
    assert "runctl budget list" in ended.stderr


@pytest.mark.parametrize(
    "amount",
    ["0", "-5", "nan", "inf", "1e12", "many", "", "0.0000001", "1.23456789", "5 €", "€5", "£5", "5 EUR", "CHF 5"],
)
def test_an_amount_that_no_budget_can_have_is_refused_and_nothing_is_set(runctl: CommandLine, amount: str) -> None:
    runctl("budget", "set", "account", "--period", "day", "--usd", "7")
    before = runctl.deployment.budgets.ledgers()

    ended = runctl("budget", "set", "account", "--period", "day", f"--usd={amount}")

    assert ended.exit_code == 2
    assert "write for example" in ended.stderr.lower()
    assert runctl.deployment.budgets.ledgers() == before


@pytest.mark.parametrize("amount", ["5 €", "£5", "5 EUR"])
def test_another_currency_is_named_as_the_fault(runctl: CommandLine, amount: str) -> None:
    ended = runctl("budget", "set", "account", "--period", "day", "--usd", amount)

    assert "is in another currency" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ("moon", "--period", "day"),
        ("account:x", "--period", "day"),
        ("project:", "--period", "day"),
        ("project:a#b", "--period", "day"),
        ("run:r-1", "--period", "total"),
        ("account", "--period", "year"),
        ("account",),
        ("account", "--period", "day", "--thresholds", "0,50"),
        ("account", "--period", "day", "--thresholds", "50,101"),
        ("account", "--period", "day", "--thresholds", "half"),
        ("account", "--period", "day", "--thresholds", ""),
        ("account", "--period", "day", "--action", "explode"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_set(runctl: CommandLine, words: tuple[str, ...]) -> None:
    ended = runctl("budget", "set", *words, "--usd", "5")

    assert ended.exit_code == 2
    assert runctl.deployment.budgets.ledgers() == ()


def test_a_budget_below_what_is_reserved_is_refused_and_nothing_is_changed(runctl: CommandLine) -> None:
    hold(runctl, "30")
    before = runctl.deployment.budgets.ledgers()

    ended = runctl("budget", "set", "project", "--period", "month", "--usd", "29.99")

    assert ended.exit_code == 2
    assert "$30.00 reserved for open runs" in " ".join(ended.stderr.split())
    assert "--usd 30" in ended.stderr
    assert runctl.deployment.budgets.ledgers() == before
    assert runctl("budget", "set", "project", "--period", "month", "--usd", "30").exit_code == 0


def test_a_budget_that_only_tells_may_be_below_what_is_reserved(runctl: CommandLine) -> None:
    hold(runctl, "30")

    ended = runctl("budget", "set", "project", "--period", "month", "--usd", "10", "--action", "notify")

    assert ended.exit_code == 0


# -- before a launch ----------------------------------------------------------------------------------------------


def test_a_run_that_no_budget_has_room_for_is_refused_before_anything_is_made(runctl: CommandLine) -> None:
    runctl("budget", "set", "project", "--period", "month", "--usd", "0.001")

    ended = runctl("train", "train.py", "--max-cost", "0.5", "--yes")

    assert ended.exit_code == 5
    assert "has no room for $0.5000" in " ".join(ended.stderr.split())
    assert "let the budget be raised" in " ".join(ended.stderr.split())
    assert runctl.json("train", "train.py", "--yes").error["code"] == "budget"
    assert runctl.deployment.made == 0


def test_a_run_goes_when_its_budget_is_raised(runctl: CommandLine) -> None:
    runctl("budget", "set", "project", "--period", "month", "--usd", "0.001")
    runctl("budget", "set", "project", "--period", "month", "--usd", "0.5")

    assert runctl("train", "train.py", "--max-cost", "0.5", "--yes").exit_code == 0


def test_under_a_budget_a_run_whose_cost_nobody_knows_must_name_a_limit(runctl: CommandLine) -> None:
    runctl("budget", "set", "user", "--period", "day", "--usd", "100")
    words = ("train", "train.py", "--instance-type", "x9.huge", "--yes")

    refused = runctl(*words)

    assert refused.exit_code == 5
    assert "--max-cost USD" in refused.stderr
    assert runctl(*words, "--max-cost", "3").exit_code == 0


def test_a_budget_that_only_tells_or_of_another_project_refuses_nobody(runctl: CommandLine) -> None:
    runctl("budget", "set", "project", "--period", "month", "--usd", "0.001", "--action", "notify")
    runctl("budget", "set", "project:other", "--period", "month", "--usd", "0.001")

    assert runctl("train", "train.py", "--yes").exit_code == 0


def test_who_may_not_read_budgets_submits_all_the_same(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_scope: Scope) -> None:
        raise PermissionDenied("not allowed: dynamodb:GetItem")

    monkeypatch.setattr(runctl.deployment.budgets, "ledger", refuse)

    assert runctl("train", "train.py", "--yes").exit_code == 0


def test_a_budget_is_set_although_admissions_change_its_ledger_meanwhile(
    runctl: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets = runctl.deployment.budgets
    untouched, refusals = budgets.set_budget, iter([False, False])

    def set_at_the_third_try(
        read: Ledger, period: BudgetPeriod, budget: Budget | None, *, is_new: bool = False
    ) -> bool:
        return next(refusals, True) and untouched(read, period, budget, is_new=is_new)

    monkeypatch.setattr(budgets, "set_budget", set_at_the_third_try)

    ended = runctl("budget", "set", "account", "--period", "day", "--usd", "7")

    assert ended.exit_code == 0
    assert len(budgets.ledgers()) == 1
