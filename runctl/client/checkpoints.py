"""A run's checkpoints as its owner sees them."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Protocol

from runctl.aws.results import Output
from runctl.errors import NotFoundError
from runctl.model.attempt import Attempt
from runctl.model.checkpoint import Manifest
from runctl.model.ids import RunId
from runctl.policy.resume import newest_first, written_by_its_machine


class ManifestReader(Protocol):
    """Reads what runs left behind."""

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        """Read the manifests of the run's complete checkpoints."""
        ...


def complete_checkpoints(results: ManifestReader, run_id: RunId, attempts: Iterable[Attempt]) -> tuple[Manifest, ...]:
    """The run's complete checkpoints, newest first; what a machine of another run put there is left out."""
    return newest_first(written_by_its_machine(results.manifests(run_id), attempts))


def checkpoint_named(checkpoints: Iterable[Manifest], name: str, run_id: RunId) -> Manifest:
    """The newest checkpoint of this name. Raises NotFoundError with the near names."""
    known = tuple(checkpoints)
    found = next((manifest for manifest in known if manifest.name == name), None)
    if found is not None:
        return found
    near = get_close_matches(name, [manifest.name for manifest in known], n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"See them with: runctl checkpoint list {run_id}"
    raise NotFoundError(f"The run {run_id} has no complete checkpoint {name}.", hint=hint)


def output_of(outputs: Iterable[Output], attempts: Iterable[Attempt]) -> Output | None:
    """The output of the last attempt that left one, written by that attempt's own machine."""
    machine_of = {attempt.number: attempt.instance_id for attempt in attempts}
    own = [output for output in outputs if machine_of.get(output.attempt) == output.instance_id]
    return max(own, key=lambda output: output.attempt, default=None)


def total_bytes(manifest: Manifest) -> int:
    """How large a checkpoint is."""
    return sum(file.bytes for file in manifest.files)
