"""What a person asks for when a run is extended, as the controller takes it."""

from datetime import timedelta
from decimal import Decimal

from runctl.errors import InvalidSpec, UsageError
from runctl.model.extension import Extension
from runctl.model.run import Run
from runctl.policy.extending import extended, refuse_unless_live


def extension_of(
    run: Run,
    *,
    runtime: timedelta | None,
    more_runtime: timedelta | None,
    cost_usd: Decimal | None,
    more_usd: Decimal | None,
) -> Extension:
    """Make it, and look whether the run may have it. Raises UsageError, InvalidSpec."""
    if runtime is None and more_runtime is None and cost_usd is None and more_usd is None:
        raise UsageError(
            "Say by what the run is extended.", hint="Write for example: --max-runtime +12h --max-cost +40"
        )
    if (runtime is not None and more_runtime is not None) or (cost_usd is not None and more_usd is not None):
        raise UsageError("A limit is given in all, or as an addition, not both.")
    for amount in (runtime, more_runtime):
        if amount is not None and amount < timedelta(seconds=1):
            raise UsageError("The time must be more than nothing.", hint="Write for example: --max-runtime +2h")
    for usd in (cost_usd, more_usd):
        if usd is not None and not (usd.is_finite() and usd > 0):
            raise UsageError("The amount must be more than nothing.", hint="Write for example: --max-cost +5")
    refuse_unless_live(run)
    fields: dict[str, object] = {}
    if runtime is not None:
        fields["max_runtime_s"] = round(runtime.total_seconds())
    if more_runtime is not None:
        fields["added_to_runtime_s"] = run.spec.max_runtime_s
        fields["max_runtime_s"] = run.spec.max_runtime_s + round(more_runtime.total_seconds())
    if cost_usd is not None:
        fields["max_cost_usd"] = cost_usd
    if more_usd is not None:
        if run.spec.max_cost_usd is None:
            raise InvalidSpec(f"Run {run.run_id} has no limit to its cost, so that there is nothing to extend.")
        fields["added_to_cost_usd"] = run.spec.max_cost_usd
        fields["max_cost_usd"] = run.spec.max_cost_usd + more_usd
    extension = Extension.model_validate(fields)
    extended(run, extension)
    return extension
