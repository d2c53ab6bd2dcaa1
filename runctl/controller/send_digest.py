"""Tell people what was spent in the last days, and keep the page."""

from datetime import timedelta
from typing import Any

from runctl.controller.ports import Clock, Notifications, Pages, SpendingLedger
from runctl.model.price import DIGEST_AFTER
from runctl.policy.cost import usd
from runctl.policy.reports import report, report_text


def send_digest(
    days: int, *, ledger: SpendingLedger, pages: Pages, notifications: Notifications, now: Clock
) -> dict[str, Any]:
    """Report the `days` before today. Of days on which nothing was spent and nothing runs nobody is told.

    What was settled too late for the digest of the day on which it ended is in that of the day of its settlement, so
    that each machine is in one daily and one weekly digest.
    """
    last = (now() - DIGEST_AFTER).date() - timedelta(days=1)
    first = last - timedelta(days=days - 1)
    in_time = [line for line in ledger.spendings(first, last) if not line.is_late]
    told = report([*in_time, *ledger.late_spendings(first, last)], first, last, ledger.figures())
    if told.is_empty:
        return {"first": str(first), "last": str(last), "sent": False}
    text = report_text(told)
    name = "daily" if days == 1 else f"{days}-days"
    place = pages.put(f"{name}-{last}", text)
    period = "yesterday" if days == 1 else f"in {days} days"
    notifications.send(f"runctl: {usd(told.total.usd)} spent {period}", f"{text}\n\nKept as {place}")
    return {"first": str(first), "last": str(last), "sent": True, "page": place}
