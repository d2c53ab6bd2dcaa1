"""The archive of all functions: `runctl/` and `lambdas/` as folders, so that there is one import name everywhere."""

from pathlib import Path
from typing import Final

from stacks.assembly import dependencies
from stacks.assembly.dependencies import Target
from stacks.assembly.zip_archive import write_zip

NOT_FOR_FUNCTIONS: Final = frozenset({"_assembly", "agent", "client", "client.py", "local"})
"""Parts of `runctl` that no handler may import: what runs on machines, on laptops, and what is built of it all."""


def build_lambda_archive(target: Path, repository: Path, requirements: Path, built_for: Target, kept: Path) -> None:
    """Write the archive with dependencies for `built_for`. Same content, same bytes."""
    installed = dependencies.install(requirements, built_for, kept)
    write_zip(target, [*source_files(repository), *dependencies.files_of(installed)])


def source_files(repository: Path) -> list[tuple[str, Path]]:
    """Our own files, as (name in the archive, path)."""
    chosen: list[tuple[str, Path]] = []
    for room in ("runctl", "lambdas"):
        for path in (repository / room).rglob("*"):
            parts = path.relative_to(repository).parts
            if path.is_file() and "__pycache__" not in parts and parts[1] not in NOT_FOR_FUNCTIONS:
                chosen.append(("/".join(parts), path))
    return chosen
