"""Whatever is done in whatever order: reserved and spent are the sums of the runs, and no budget is admitted beyond."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runctl.model.budget import ACCOUNT, Booking, Budget, BudgetPeriod, Refusal, Reservation, Scope
from runctl.model.ids import RunId
from runctl.policy import budget_ledger
from runctl.policy.budget_periods import period_start
from tests.factories import make_run
from tests.fakes.budgets import InMemoryBudgets

USERS = ("ada", "bob")
PROJECTS = ("vision", "speech")
CENTS = st.integers(1, 5_000).map(lambda cents: Decimal(cents) / 100)
ENDING = st.sampled_from(list(BudgetPeriod))


class Money(RuleBasedStateMachine):
    """Runs come, spend, are extended and end, over weeks; budgets are set and removed; old bookings come again."""

    def __init__(self) -> None:
        super().__init__()
        self.budgets = InMemoryBudgets()
        self.now = datetime(2026, 1, 30, 22, 0, tzinfo=UTC)
        self.count = 0
        self.cost: dict[RunId, list[tuple[datetime, Decimal]]] = {}
        self.closed: list[Reservation] = []
        self.written: list[Booking] = []

    # -- what happens --------------------------------------------------------------------------------------------

    @rule(minutes=st.integers(1, 3_000))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(user=st.sampled_from(USERS), project=st.sampled_from(PROJECTS), amount=CENTS)
    def a_run_asks_for_admission(self, user: str, project: str, amount: Decimal) -> None:
        self.count += 1
        run = make_run(RunId(f"r-1hqz5yk{self.count:05d}"), user=user, project=project)
        ledgers = self._ledgers(run.project, run.user)
        planned = budget_ledger.admit(run, amount, ledgers, self.now)
        if isinstance(planned, Refusal):
            assert planned.reserved_usd + planned.spent_usd + planned.asked_usd > planned.amount_usd
            return
        self._write(planned)
        self.cost[run.run_id] = [(self.now, Decimal(0))]
        for ledger in self.budgets.ledgers():
            for period, budget in ledger.budgets.items():
                if ledger.scope in planned.reservation.scopes if planned.reservation else False:
                    assert ledger.periods[period].committed_usd <= budget.amount_usd

    @rule(data=st.data(), share=st.integers(1, 30))
    def a_run_spends(self, data: st.DataObject, share: int) -> None:
        reservation = self._any(data)
        if reservation is None or reservation.released:
            return
        steps = self.cost[reservation.run_id]
        steps.append((self.now, steps[-1][1] + reservation.amount_usd * share / 100))
        self._move(budget_ledger.book, reservation)

    @rule(data=st.data())
    def a_run_ends(self, data: st.DataObject) -> None:
        reservation = self._any(data)
        if reservation is not None:
            self._move(budget_ledger.settle, reservation)

    @rule(data=st.data(), cents=st.integers(-200, 200))
    def the_last_machine_goes(self, data: st.DataObject, cents: int) -> None:
        reservation = self._any(data)
        if reservation is None or not reservation.released:
            return
        steps = self.cost[reservation.run_id]
        steps.append((self.now, max(Decimal(0), steps[-1][1] + Decimal(cents) / 100)))
        booking = budget_ledger.close(
            reservation, self._cost(reservation), self._ledgers(reservation.project, reservation.user), self.now
        )
        self._write(booking)
        spent = budget_ledger.money(self._cost(reservation)(self.now))
        self.closed.append(reservation.model_copy(update={"booked_usd": spent}))

    @rule(data=st.data(), amount=CENTS)
    def a_run_is_extended(self, data: st.DataObject, amount: Decimal) -> None:
        reservation = self._any(data)
        if reservation is None or reservation.released:
            return
        ledgers = self._ledgers(reservation.project, reservation.user)
        planned = budget_ledger.extend(reservation, reservation.amount_usd + amount, ledgers, self.now)
        if isinstance(planned, Booking):
            self._write(planned)

    @rule(data=st.data())
    def an_old_booking_comes_again(self, data: st.DataObject) -> None:
        if not self.written:
            return
        before = (self.budgets.ledgers(), tuple(self.budgets.reservations()))
        old = data.draw(st.sampled_from(self.written))
        if old.reservation is not None and old.version_before is None and old.run_id in {r.run_id for r in self.closed}:
            return  # an admission is guarded by the run's own item, which has ended
        assert not self.budgets.write(old)
        assert (self.budgets.ledgers(), tuple(self.budgets.reservations())) == before

    @rule(scope=st.sampled_from(["account", "project#vision", "user#ada"]), period=ENDING, amount=CENTS)
    def somebody_sets_a_budget(self, scope: str, period: BudgetPeriod, amount: Decimal) -> None:
        named = Scope.of_key(scope)
        stored = self.budgets.ledger(named)
        read = stored or budget_ledger.opened(named, self.now)
        if budget_ledger.as_of(read, self.now).periods[period].committed_usd > amount:
            return
        budget = Budget(amount_usd=amount, set_by="ada", set_at=self.now)
        self.budgets.set_budget(read, period, budget, is_new=stored is None)

    @rule(period=ENDING)
    def somebody_removes_a_budget(self, period: BudgetPeriod) -> None:
        stored = self.budgets.ledger(ACCOUNT)
        if stored is not None:
            self.budgets.set_budget(stored, period, None)

    # -- what is always so ---------------------------------------------------------------------------------------

    @invariant()
    def reserved_and_spent_are_the_sums_of_the_runs(self) -> None:
        open_ones = list(self.budgets.reservations())
        for ledger in self.budgets.ledgers():
            mine = [r for r in open_ones if ledger.scope in r.scopes]
            gone = [r for r in self.closed if ledger.scope in r.scopes]
            assert ledger.reserved_usd == sum((r.held_usd for r in mine), Decimal(0))
            spent = sum((r.booked_usd for r in (*mine, *gone)), Decimal(0))
            assert ledger.periods[BudgetPeriod.TOTAL].spent_usd == spent
            for sums in ledger.periods.values():
                assert sums.committed_usd == ledger.reserved_usd + sums.spent_usd

    @invariant()
    def periods_are_never_in_the_future(self) -> None:
        for ledger in self.budgets.ledgers():
            for period, sums in ledger.periods.items():
                assert sums.start <= period_start(period, self.now)

    # -- how -----------------------------------------------------------------------------------------------------

    def _any(self, data: st.DataObject) -> Reservation | None:
        found = list(self.budgets.reservations())
        return data.draw(st.sampled_from(found)) if found else None

    def _cost(self, reservation: Reservation) -> budget_ledger.CostUntil:
        steps = self.cost[reservation.run_id]
        return lambda at: next((usd for since, usd in reversed(steps) if since <= at), Decimal(0))

    def _ledgers(self, project: str, user: str) -> budget_ledger.Ledgers:
        probe = Reservation(
            run_id=RunId("r-0"), project=project, user=user, amount_usd=Decimal(0), booked_until=self.now
        )
        return {scope: self.budgets.ledger(scope) for scope in probe.scopes}

    def _move(self, move: object, reservation: Reservation) -> None:
        ledgers = self._ledgers(reservation.project, reservation.user)
        planned = budget_ledger.book if move is budget_ledger.book else budget_ledger.settle
        booking = planned(reservation, self._cost(reservation), ledgers, self.now)
        if booking is not None:
            self._write(booking)

    def _write(self, booking: Booking) -> None:
        assert self.budgets.write(booking)
        self.written.append(booking)


Money.TestCase.settings = settings(max_examples=100, stateful_step_count=100, deadline=None)
TestMoney = Money.TestCase
