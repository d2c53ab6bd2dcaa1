"""Words of a report: moments, money, and how a run stands."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from runctl.client.report.markup import Html, markup, tag
from runctl.client.report.scales import seconds_text
from runctl.model.run import Run
from runctl.model.status import RunStatus

_KINDS = {
    RunStatus.SUCCEEDED: "good",
    RunStatus.FAILED: "bad",
    RunStatus.STOPPED: "mild",
    RunStatus.CANCELLED: "mild",
}


def clock(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def lasted(duration: timedelta) -> str:
    """Write a duration."""
    return seconds_text(max(0.0, duration.total_seconds())) or "0"


def usd(amount: Decimal) -> str:
    """Write money with as many places as it needs not to read as nothing."""
    if amount == 0:
        return "$0"
    places = 2 if abs(amount) >= 1 else min(6, max(2, 1 - amount.adjusted()))
    return f"${amount:,.{places}f}"


def status_words(run: Run) -> Html:
    """The status in its colour, and the reason where it says more."""
    why = "" if run.reason is None else f" ({run.reason.value})"
    return markup(tag("span", run.status.value, class_=f"status {_KINDS.get(run.status, 'going')}"), why)
