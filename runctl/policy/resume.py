"""What a new attempt may resume from, and which attempts brought a run forward."""

from collections.abc import Iterable

from runctl.model.checkpoint import Manifest
from runctl.model.ids import AttemptNumber, RunId

RESUME_POINTS = 3
"""How many checkpoints a machine is offered: it takes the newest whose hashes are right. Links make the hand-off
long, and a run whose last three checkpoints are all damaged has another trouble."""


def resume_points(
    manifests: Iterable[Manifest], run_id: RunId, number: AttemptNumber, limit: int = RESUME_POINTS
) -> tuple[Manifest, ...]:
    """Choose the newest complete checkpoints of this run's earlier attempts, newest first.

    A checkpoint is complete when it has a manifest, for that is written last. A later attempt's is the newer one
    whatever the clocks of the two machines say; within an attempt time decides, then the step.
    """
    own = [m for m in manifests if m.run_id == run_id and m.attempt < number]
    own.sort(key=lambda m: (m.attempt, m.saved_at, -1 if m.step is None else m.step), reverse=True)
    return tuple(own[:limit])


def attempts_with_progress(manifests: Iterable[Manifest]) -> frozenset[AttemptNumber]:
    """Tell which attempts saved a checkpoint that is newer than all before: a higher step, or one without a number."""
    steps: dict[AttemptNumber, list[int | None]] = {}
    for manifest in manifests:
        steps.setdefault(manifest.attempt, []).append(manifest.step)
    progressed: set[AttemptNumber] = set()
    best = -1
    for number in sorted(steps):
        numbered = [step for step in steps[number] if step is not None]
        reached = max(numbered, default=-1)
        if reached > best or len(numbered) < len(steps[number]):
            progressed.add(number)
        best = max(best, reached)
    return frozenset(progressed)
