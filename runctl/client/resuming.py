"""Resuming an ended run: a new run that goes on from what it saved, with the same code unless it is sent again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runctl.client.checkpoints import ManifestReader, checkpoint_named, complete_checkpoints
from runctl.client.deployment import RunTable
from runctl.client.estimate import Estimate
from runctl.client.naming import memorable_name
from runctl.client.project import MAX_PROJECT_BYTES
from runctl.client.spec import RunSpec
from runctl.errors import InvalidSpec
from runctl.model.attempt import Attempt
from runctl.model.run import ResumedFrom, Run, RunRequest
from runctl.model.status import RunStatus
from runctl.policy.resume import MAX_CHAIN, manifest_key


@dataclass(frozen=True)
class SyncedProject:
    """The project that is sent again; without one the earlier run's code is used."""

    folder: Path | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_bytes: int = MAX_PROJECT_BYTES


@dataclass(frozen=True)
class ResumePlan:
    """A resumption that can be launched: there is something to go on from. Nothing was made for it yet."""

    earlier: Run
    resumed_from: ResumedFrom
    request: RunRequest
    estimate: Estimate


def refuse_unless_resumable(earlier: Run, *, force: bool) -> None:
    """Raise InvalidSpec for a run that has not ended, and for one that has done what it was to do, unless forced."""
    if not earlier.status.is_terminal:
        raise InvalidSpec(
            f"The run {earlier.run_id} has not ended: it is {earlier.status.value}, and resumes by itself.",
            hint=f"Let it save and end first: runctl cancel {earlier.run_id}",
        )
    if earlier.status is RunStatus.SUCCEEDED and not force:
        raise InvalidSpec(
            f"The run {earlier.run_id} has succeeded: there is nothing left to do.",
            hint=f"To train on from its last checkpoint: runctl resume {earlier.run_id} --force -- ARGS",
        )


def point_to_resume(
    earlier: Run, attempts: tuple[Attempt, ...], results: ManifestReader, name: str | None
) -> ResumedFrom:
    """Choose the checkpoint: the newest complete one, or the one of this name; else what the run itself went on from.

    Raises InvalidSpec when there is none, NotFoundError when there is none of this name.
    """
    saved = complete_checkpoints(results, earlier.run_id, attempts)
    if name is not None:
        chosen = checkpoint_named(saved, name, earlier.run_id)
    elif saved:
        chosen = saved[0]
    elif earlier.resumed_from is not None:
        return earlier.resumed_from.model_copy(update={"run_id": earlier.run_id})
    else:
        raise InvalidSpec(
            f"The run {earlier.run_id} left no complete checkpoint to resume from.",
            hint=f"Train from the beginning: runctl train {earlier.spec.label}",
        )
    return ResumedFrom(run_id=earlier.run_id, checkpoint=manifest_key(chosen), name=chosen.name, step=chosen.step)


def resumed_request(earlier: Run, changes: Mapping[str, Any]) -> RunRequest:
    """What the earlier run asked for, with the changes. Raises InvalidSpec when that makes no sense."""
    asked = {name: getattr(earlier.spec, name) for name in RunRequest.model_fields}
    try:
        return RunRequest.model_validate({**asked, **changes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = first["msg"].removeprefix("Value error, ")
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidSpec(
            f"The run cannot be resumed: {f'{field}: ' if field else ''}{what[:1].lower()}{what[1:]}.",
            hint="See: runctl resume --help",
        ) from error


def name_of_resumed(earlier: Run) -> str | None:
    """The name that a person gave is the resumed run's, too; one that was made up is the earlier run's own."""
    return None if earlier.name == memorable_name(earlier.run_id) else earlier.name


def project_spec(request: RunRequest, sync: SyncedProject) -> RunSpec:
    """The same request of the project as it is now."""
    asked = {name: getattr(request, name) for name in RunRequest.model_fields}
    return RunSpec(
        **asked, project_dir=sync.folder, include=sync.include, exclude=sync.exclude, max_project_bytes=sync.max_bytes
    )


def chain_of(run: Run, runs: RunTable) -> tuple[ResumedFrom, ...]:
    """What the run went on from, what that went on from, and so on: the nearest first."""
    chain: list[ResumedFrom] = []
    current: Run | None = run
    while current is not None and current.resumed_from is not None and len(chain) < MAX_CHAIN:
        chain.append(current.resumed_from)
        current = runs.run(current.resumed_from.run_id)
    return tuple(chain)
