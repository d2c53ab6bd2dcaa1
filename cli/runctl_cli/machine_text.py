"""A machine as people and as programs read it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from runctl.client.money import number
from runctl.model.base import clock_text, iso
from runctl.policy.pauses import STOPS
from runctl_cli.values import duration_text, usd_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runctl.client.machines import Machine, MachineCost
    from runctl.client.money import Resource


def machine_document(
    machine: "Machine", *, online: bool | None = None, cost: "MachineCost | None" = None
) -> dict[str, Any]:
    """Write a machine; `ssm_online` is null where SSM was not asked, and so is what it costs where nobody asked."""
    view = machine.view
    return {
        "instance_id": view.instance_id,
        "state": view.state.value,
        "ssm_online": online,
        "instance_type": view.instance_type,
        "availability_zone": view.availability_zone,
        "purchase_option": view.purchase_option.value,
        "launched_at": None if view.launched_at is None else iso(view.launched_at),
        "owner": machine.owner,
        "kept_until": None if machine.kept_until is None else iso(machine.kept_until),
        "busy_with": machine.busy_with,
        "last_run": None if machine.last_run is None else machine.last_run.run_id,
        "usd_per_hour": None if cost is None else number(cost.usd_per_hour),
        "cost_usd": None if cost is None else number(cost.usd),
    }


def machine_lines(machine: "Machine", *, online: bool | None = None, cost: "MachineCost | None" = None) -> list[str]:
    """Say how a machine stands, a line a fact."""
    view = machine.view
    lines = [
        f"{view.instance_id}  {view.state.value}",
        f"Machine     {view.instance_type}, {view.availability_zone}, {view.purchase_option.value}",
        f"Owner       {machine.owner}",
    ]
    if online is not None:
        silent = "does not answer while it is stopped" if view.state in STOPS else "does not answer yet"
        lines.append(f"SSM         {'online' if online else silent}")
    if machine.kept_until is not None:
        left = machine.kept_until - datetime.now(UTC)
        lines.append(f"Kept until  {clock_text(machine.kept_until)} ({duration_text(left)} left)")
    if cost is not None and cost.usd is not None and cost.usd_per_hour is not None:
        what = " for its disk, while it is stopped" if view.state in STOPS else ""
        lines.append(f"Cost        {usd_text(cost.usd)} so far, {usd_text(cost.usd_per_hour)} an hour{what}")
    if machine.busy_with is not None:
        lines.append(f"Busy with   {machine.busy_with}")
    elif machine.last_run is not None:
        lines.append(f"Last run    {machine.last_run.run_id} ({machine.last_run.status.value})")
    return lines


def total_text(found: "Sequence[Resource]") -> str:
    """Say what all these machines cost together."""
    machines = "1 machine" if len(found) == 1 else f"{len(found)} machines"
    spent, hourly = (
        sum((amount for amount in amounts if amount is not None), Decimal(0))
        for amounts in ([each.usd for each in found], [each.usd_per_hour for each in found])
    )
    unpriced = sum(each.usd_per_hour is None for each in found)
    unknown = f", without {unpriced} at a price that is not known" if unpriced else ""
    return f"{machines}: {usd_text(spent)} so far, {usd_text(hourly)} an hour{unknown}."
