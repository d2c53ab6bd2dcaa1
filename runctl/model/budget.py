"""Budgets, what is held of them for open runs, and what was spent.

A *ledger* is one scope's account: the account itself, a project, or a user. It holds what is reserved for open runs
(which knows no period: it is money that is still to be spent), what was spent in the current day, week, month and
ever, and the budgets that were set. A *reservation* is what is held for one run, in all ledgers that the run belongs
to. A run's own budget is its `max_cost`, so that its reservation is its account.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from runctl.model.base import Model, UtcDatetime
from runctl.model.ids import RunId

Usd = Annotated[Decimal, Field(allow_inf_nan=False)]


class BudgetScope(StrEnum):
    """Whose money a budget is about."""

    ACCOUNT = "account"
    PROJECT = "project"
    USER = "user"
    RUN = "run"
    """One run: its `max_cost`, and the only period is the whole run."""


class BudgetPeriod(StrEnum):
    """How long an amount must last. Periods begin at midnight UTC: weeks on Monday, months on the first."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class BudgetAction(StrEnum):
    """What happens when a budget is used up."""

    NOTIFY = "notify"
    """People are told; runs go on, and new ones begin."""
    STOP_NEW = "stop-new"
    """No run is admitted whose reservation does not fit; those that were go on."""
    STOP_ALL = "stop-all"
    """As `stop-new`, and when the amount is spent all runs of the scope save and stop."""


DEFAULT_THRESHOLDS: Final = (50, 80, 100)


class Scope(Model):
    """Whose ledger. `name` is empty for the account."""

    kind: BudgetScope
    name: str = ""

    @property
    def key(self) -> str:
        """How the table and JSON output name it: `account`, `project#vision`."""
        return self.kind.value if not self.name else f"{self.kind.value}#{self.name}"

    def __str__(self) -> str:
        """Name it for people: `the account`, `project vision`."""
        return "the account" if self.kind is BudgetScope.ACCOUNT else f"{self.kind.value} {self.name}"

    @classmethod
    def of_key(cls, key: str) -> "Scope":
        """Read what `key` wrote."""
        kind, _, name = key.partition("#")
        return cls(kind=BudgetScope(kind), name=name)


ACCOUNT: Final = Scope(kind=BudgetScope.ACCOUNT)


class Budget(Model):
    """An amount for each period of a kind, and what happens at its end."""

    amount_usd: Annotated[Usd, Field(gt=0)]
    thresholds: tuple[Annotated[int, Field(ge=1, le=100)], ...] = DEFAULT_THRESHOLDS
    """Percentages of the amount at which people are told, once in each period."""
    action: BudgetAction = BudgetAction.STOP_NEW
    set_by: str
    set_at: UtcDatetime

    @property
    def limits(self) -> bool:
        """Whether it keeps runs from being admitted."""
        return self.action is not BudgetAction.NOTIFY


class PeriodSums(Model):
    """One ledger's current period of a kind."""

    start: UtcDatetime
    spent_usd: Usd = Decimal(0)
    committed_usd: Usd = Decimal(0)
    """Spent in this period, and reserved: what a condition of the table can compare with an amount."""
    told: tuple[int, ...] = ()
    """Thresholds that people were told of."""


class Ledger(Model):
    """One item `LEDGER / <scope>` of the budgets table."""

    scope: Scope
    reserved_usd: Usd = Decimal(0)
    """The open part of all reservations: what admitted runs may still spend."""
    periods: dict[BudgetPeriod, PeriodSums]
    budgets: dict[BudgetPeriod, Budget] = {}
    budgets_version: Annotated[int, Field(ge=0)] = 0
    """Counts the changes of `budgets`: an admission names the one that it was checked against."""


class Reservation(Model):
    """One item `RESERVATION / <run id>` of the budgets table: there from a run's admission until all its machines are
    gone and paid for."""

    run_id: RunId
    project: str
    user: str
    amount_usd: Annotated[Usd, Field(ge=0)]
    """The run's `max_cost`."""
    booked_usd: Usd = Decimal(0)
    """What is in the ledgers as spent."""
    booked_until: UtcDatetime
    released: bool = False
    """Whether the run has ended: what is booked may still be corrected, and nothing is held any more."""
    version: Annotated[int, Field(ge=1)] = 1

    @property
    def held_usd(self) -> Decimal:
        """The open part, which is in the ledgers as reserved."""
        return Decimal(0) if self.released else max(Decimal(0), self.amount_usd - self.booked_usd)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The ledgers that it is in."""
        return scopes_of(self.project, self.user)


def scopes_of(project: str, user: str) -> tuple[Scope, ...]:
    """The ledgers that a run of this project and user is in."""
    return (ACCOUNT, Scope(kind=BudgetScope.PROJECT, name=project), Scope(kind=BudgetScope.USER, name=user))


class LedgerChange(Model):
    """What is to happen to one ledger, and what must be so for it to happen: sums are added to, never replaced, so that
    two changes at the same time do not undo each other."""

    scope: Scope
    is_new: bool = False
    """There is no such ledger yet."""
    starts_before: dict[BudgetPeriod, UtcDatetime] = {}
    """The periods that the ledger must be in."""
    starts: dict[BudgetPeriod, UtcDatetime]
    """The periods that it is in afterwards. In one that begins, nothing was spent yet."""
    reserved_delta_usd: Usd = Decimal(0)
    spent_delta_usd: dict[BudgetPeriod, Usd] = {}
    at_most_usd: dict[BudgetPeriod, Usd] = {}
    """How much may be committed before the change; looked at together with `budgets_version`."""
    budgets_version: int | None = None
    """The budgets that the change was checked against; None: whatever they are."""


class Booking(Model):
    """One move of money: a run's reservation and its ledgers change together, or not at all."""

    run_id: RunId
    version_before: int | None
    """Version of the reservation that was read; None: there must be none."""
    reservation: Reservation | None
    """As it is afterwards; None: it is gone, for all is paid."""
    changes: tuple[LedgerChange, ...]


class Refusal(Model):
    """Why a run, or more money for it, is not admitted."""

    scope: Scope
    period: BudgetPeriod
    amount_usd: Usd
    reserved_usd: Usd
    spent_usd: Usd
    asked_usd: Usd
    begins_again_at: UtcDatetime | None
    """When the period ends; None for `total`."""
