"""What the cost watch saw last, as items `FIGURES / NOW#<n>` of the runs table: per run, project, user and pool."""

from decimal import Decimal

from runctl.model.base import Model, UtcDatetime


class RunFigures(Model):
    """An open run as the cost watch saw it."""

    usd: Decimal
    """Spent so far."""
    usd_per_hour: Decimal
    project: str
    user: str


class Figures(Model):
    """All of it. The sums are of open runs, and of machines that are kept after theirs, but `month_usd`."""

    at: UtcDatetime
    month: str
    """E.g. `2026-11`."""
    month_usd: Decimal
    """Settled in this month, and spent so far by machines that are not settled."""
    usd_per_hour: Decimal
    forecast_usd: Decimal
    """What they may yet cost: at today's prices, until the runs' limits of time or money and the kept machines' end."""
    unpriced: int = 0
    """Open runs that have a machine whose price nobody knows."""
    by_project: dict[str, Decimal] = {}
    by_user: dict[str, Decimal] = {}
    by_pool: dict[str, Decimal] = {}
    """USD an hour, by `<type> <zone> <purchase option>`."""
    runs: dict[str, RunFigures] = {}
