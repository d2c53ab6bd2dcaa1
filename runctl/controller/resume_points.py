"""What a new machine may resume from: the run's own checkpoints, then those of the runs that it goes on from."""

from collections.abc import Iterable

from runctl.controller.ports import Bucket, RunStore
from runctl.errors import CheckpointMissing
from runctl.model.attempt import Attempt
from runctl.model.checkpoint import Manifest
from runctl.model.job import ResumePoint
from runctl.model.run import ResumedFrom, Run
from runctl.policy.resume import (
    MAX_CHAIN,
    RESUME_POINTS,
    manifest_key,
    newest_first,
    resume_points,
    written_by_its_machine,
)


def offered_points(run: Run, attempt: Attempt, *, runs: RunStore, bucket: Bucket) -> tuple[ResumePoint, ...]:
    """Choose what the attempt's machine is offered, newest first, with links.

    Raises CheckpointMissing for a run that goes on from another when nothing is left to go on from: to begin again
    from nothing is for a person to decide.
    """
    found: tuple[Manifest, ...] = ()
    if attempt.number > 1:
        own = written_by_its_machine(bucket.manifests(run.run_id), runs.attempts(run.run_id))
        found = resume_points(own, run.run_id, attempt.number)
    found = (*found, *_inherited(run.resumed_from, RESUME_POINTS - len(found), runs=runs, bucket=bucket))
    if run.resumed_from is not None and not found and attempt.command_id is None:
        earlier, name = run.resumed_from.run_id, run.resumed_from.name or run.resumed_from.checkpoint
        raise CheckpointMissing(f"The checkpoint {name} of run {earlier} is not in the bucket any more.")
    return tuple(
        ResumePoint(
            manifest_key=manifest_key(manifest), name=manifest.name, step=manifest.step, files=bucket.links(manifest)
        )
        for manifest in found
    )


def _inherited(since: ResumedFrom | None, wanted: int, *, runs: RunStore, bucket: Bucket) -> tuple[Manifest, ...]:
    """Go back from run to run, each time from the checkpoint that was chosen then."""
    found: tuple[Manifest, ...] = ()
    for _ in range(MAX_CHAIN):
        if since is None or len(found) >= wanted:
            break
        earlier = runs.run(since.run_id)
        if earlier is None:
            break
        saved = written_by_its_machine(bucket.manifests(earlier.run_id), runs.attempts(earlier.run_id))
        found = (*found, *_not_newer(newest_first(saved), since.checkpoint))
        since = earlier.resumed_from
    return found[: max(0, wanted)]


def _not_newer(manifests: Iterable[Manifest], key: str) -> tuple[Manifest, ...]:
    """The chosen checkpoint and those before it; all of them when it is another run's, or has been removed."""
    ordered = tuple(manifests)
    places = [place for place, manifest in enumerate(ordered) if manifest_key(manifest) == key]
    return ordered[places[0] :] if places else ordered
