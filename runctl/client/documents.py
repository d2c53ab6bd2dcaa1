"""A run as JSON output shows it: the fields of docs/cli.md, no others."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from runctl.client.checkpoints import total_bytes
from runctl.client.place import Place
from runctl.model.attempt import Attempt
from runctl.model.base import iso
from runctl.model.checkpoint import Manifest
from runctl.model.run import Run, RunSpec
from runctl.model.timeline import TimelineEvent
from runctl.policy.cost import attempt_cost, run_cost

HIDDEN_VALUE: Final = "***"
"""Stands for the value of an environment variable: documents end up in logs, and values may be secrets."""

_MICRODOLLAR: Final = 6


def run_document(run: Run, attempts: Sequence[Attempt], place: Place, now: datetime) -> dict[str, Any]:
    """Write a run with its attempts; times as text, money as numbers of US dollars."""
    return {
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status.value,
        "reason": None if run.reason is None else run.reason.value,
        "resumed_from": None if run.resumed_from is None else run.resumed_from.model_dump(mode="json"),
        "execution_arn": run.execution_arn,
        "console_url": place.console_url(run.execution_arn),
        "created_at": iso(run.created_at),
        "ended_at": _time(run.ended_at),
        "spec": spec_document(run.spec),
        "attempts": [attempt_document(attempt, now) for attempt in attempts],
        "checkpoint": _checkpoint(run),
        "cost": cost_document(run, attempts, now),
        "progress": _progress(run),
    }


def spec_document(spec: RunSpec) -> dict[str, Any]:
    """Write what was asked for; values of environment variables are hidden."""
    document = spec.model_dump(mode="json")
    document["environment"] = dict.fromkeys(spec.environment, HIDDEN_VALUE)
    document["max_cost_usd"] = _money(spec.max_cost_usd)
    return document


def attempt_document(attempt: Attempt, now: datetime) -> dict[str, Any]:
    """Write an attempt. Its start is the launch of its machine, where there was one."""
    return {
        "number": attempt.number,
        "instance_id": attempt.instance_id,
        "instance_type": attempt.instance_type,
        "availability_zone": attempt.availability_zone,
        "purchase_option": None if attempt.purchase_option is None else attempt.purchase_option.value,
        "started_at": iso(attempt.launched_at or attempt.created_at),
        "ended_at": _time(attempt.ended_at),
        "reason": None if attempt.reason is None else attempt.reason.value,
        "exit_code": attempt.exit_code,
        "resumed_from_step": attempt.resumed_from_step,
        "cost_usd": _money(attempt_cost(attempt, now)),
    }


def cost_document(run: Run, attempts: Sequence[Attempt], now: datetime) -> dict[str, Any]:
    """Write what the run was estimated at, has cost, would have cost on demand, and saved."""
    cost = run_cost(attempts, now)
    return {
        "estimated_usd": _money(run.estimated_usd),
        "accrued_usd": _money(cost.accrued_usd),
        "on_demand_usd": _money(cost.on_demand_usd),
        "saved_usd": _money(cost.saved_usd),
        "recomputed_usd": _money(cost.recomputed_usd),
        "is_settled": cost.is_settled,
        "rests_on_bundled_prices": cost.rests_on_bundled,
    }


def listed_document(run: Run) -> dict[str, Any]:
    """Write a run as one of many: what its own item says, without its attempts."""
    return {
        "run_id": run.run_id,
        "name": run.name,
        "status": run.status.value,
        "reason": None if run.reason is None else run.reason.value,
        "script": run.spec.label,
        "user": run.user,
        "created_at": iso(run.created_at),
        "ended_at": _time(run.ended_at),
        "attempts": run.attempt,
        "step": None if run.progress is None else run.progress.step,
        "message": run.message,
    }


def event_document(event: TimelineEvent) -> dict[str, Any]:
    """Write one event of the timeline."""
    return {
        "at": iso(event.at),
        "kind": event.kind.value,
        "attempt": event.attempt,
        "text": event.text,
        "data": event.data,
    }


def checkpoint_document(manifest: Manifest) -> dict[str, Any]:
    """Write a complete checkpoint."""
    return {
        "name": manifest.name,
        "step": manifest.step,
        "attempt": manifest.attempt,
        "bytes": total_bytes(manifest),
        "files": len(manifest.files),
        "saved_at": iso(manifest.saved_at),
    }


def _checkpoint(run: Run) -> dict[str, Any] | None:
    if run.checkpoint is None:
        return None
    return {**run.checkpoint.model_dump(mode="json"), "saved_at": iso(run.checkpoint.saved_at)}


def _progress(run: Run) -> dict[str, Any] | None:
    if run.progress is None:
        return None
    return {**run.progress.model_dump(mode="json"), "at": iso(run.progress.at)}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _money(amount: Decimal | None) -> float | None:
    return None if amount is None else float(round(amount, _MICRODOLLAR))
