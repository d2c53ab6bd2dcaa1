"""A training looked at on this machine, before anything is made for it."""

from dataclasses import dataclass
from pathlib import Path

from runctl.client.estimate import Estimate
from runctl.client.project import (
    ProjectFiles,
    collect_files,
    find_project_root,
    is_empty_project,
    module_in_project,
    script_in_project,
)
from runctl.client.spec import RunSpec
from runctl.errors import InvalidSpec
from runctl.model.run import RunRequest


@dataclass(frozen=True)
class PreparedProject:
    """A training that was looked at on this machine: the script is there and the files to send are known."""

    spec: RunSpec
    root: Path
    files: ProjectFiles


@dataclass(frozen=True)
class Plan:
    """A training that can be launched: its machines exist and its cost is estimated. Nothing was made for it yet."""

    prepared: PreparedProject
    estimate: Estimate


def prepare(spec: RunSpec) -> PreparedProject:
    """Look at the project on this machine. Raises InvalidSpec for what cannot be sent or run."""
    root = spec.project_dir or find_project_root(Path.cwd()) or Path.cwd()
    if root.is_dir() and is_empty_project(root):
        raise InvalidSpec(
            f"The project {root} is empty: there is nothing to send to the machine.",
            hint="Run the command in the folder of your training script.",
        )
    script = _script(spec, root)
    files = collect_files(
        root, include=spec.include, exclude=spec.exclude, script=script or None, max_bytes=spec.max_project_bytes
    )
    return PreparedProject(spec.model_copy(update={"script": script}), root, files)


def _script(spec: RunSpec, root: Path) -> str:
    if spec.command:
        return ""
    if spec.module and not spec.script:
        return module_in_project(spec.module, root)
    return script_in_project(root / spec.script, root)


def refuse_data_of_others(request: RunRequest, allowed: tuple[str, ...]) -> None:
    """Raise InvalidSpec when the training is to read a bucket that machines may not."""
    for source in request.data:
        if source.bucket not in allowed:
            may = f"they may read {', '.join(allowed)}" if allowed else "none was named at deployment"
            raise InvalidSpec(
                f"Machines may not read the bucket {source.bucket}: {may}.",
                hint=f"Let who deployed run: runctl deploy --data-bucket {source.bucket}"
                + "".join(f" --data-bucket {name}" for name in allowed),
            )
