"""What a new attempt may resume from, and which attempts brought a run forward."""

from collections.abc import Iterable, Mapping

from runctl.model.attempt import Attempt
from runctl.model.checkpoint import Manifest
from runctl.model.ids import AttemptNumber, InstanceId, RunId

RESUME_POINTS = 3
"""How many checkpoints a machine is offered: it takes the newest whose hashes are right. Links make the hand-off
long, and a run whose last three checkpoints are all damaged has another trouble."""


MAX_CHAIN = 10
"""How many earlier runs are looked through, each resumed from the one before, for a checkpoint to resume from."""

_FOLDER = "/checkpoints/"


def resume_points(
    manifests: Iterable[Manifest], run_id: RunId, number: AttemptNumber, limit: int = RESUME_POINTS
) -> tuple[Manifest, ...]:
    """Choose the newest complete checkpoints of this run's earlier attempts, newest first.

    A checkpoint is complete when it has a manifest, for that is written last.
    """
    return newest_first(m for m in manifests if m.run_id == run_id and m.attempt < number)[:limit]


def newest_first(manifests: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Order one run's checkpoints. A later attempt's is the newer one whatever the clocks of the two machines say;
    within an attempt time decides, then the step."""
    return tuple(
        sorted(manifests, key=lambda m: (m.attempt, m.saved_at, -1 if m.step is None else m.step), reverse=True)
    )


def written_by_its_machine(manifests: Iterable[Manifest], attempts: Iterable[Attempt]) -> tuple[Manifest, ...]:
    """Leave out what another machine put there: a machine may write below any run, but only in a folder that bears
    its own instance id (runctl.model.keys)."""
    machine_of: Mapping[AttemptNumber, InstanceId | None] = {each.number: each.instance_id for each in attempts}
    return tuple(
        manifest
        for manifest in manifests
        if (instance_id := machine_of.get(manifest.attempt)) is not None
        and all(file.key.partition(_FOLDER)[0].endswith(f":{instance_id}") for file in manifest.files)
    )


def manifest_key(manifest: Manifest) -> str:
    """Name the key that a manifest lies at, beside the files that it lists."""
    return f"{manifest.files[0].key.partition(_FOLDER)[0]}{_FOLDER}{manifest.name}/manifest.json"


def attempts_with_progress(manifests: Iterable[Manifest], since: int | None = None) -> frozenset[AttemptNumber]:
    """Tell which attempts saved a checkpoint that is newer than all before: a higher step, or one without a number.

    `since` is the step that the run itself went on from, when it resumes another.
    """
    steps: dict[AttemptNumber, list[int | None]] = {}
    for manifest in manifests:
        steps.setdefault(manifest.attempt, []).append(manifest.step)
    progressed: set[AttemptNumber] = set()
    best = -1 if since is None else since
    for number in sorted(steps):
        numbered = [step for step in steps[number] if step is not None]
        reached = max(numbered, default=-1)
        if reached > best or len(numbered) < len(steps[number]):
            progressed.add(number)
        best = max(best, reached)
    return frozenset(progressed)
