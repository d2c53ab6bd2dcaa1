"""A checkout of the repository: whether this code runs from one, and the hash of what its assembly is made of."""

import hashlib
from pathlib import Path
from typing import Final

_ROOMS: Final = ("runctl", "lambdas", "stacks", "requirements")
_FILES: Final = ("app.py", "cdk.json", "pyproject.toml")
_BUILDER: Final = "stacks/build_assembly.py"
_LEFT_OUT: Final = frozenset({"_assembly", "__pycache__", "local"})
"""The local target deploys the assembly; nothing of it is in there."""


def checkout_around(assembly: Path) -> Path | None:
    """The repository in which an assembly is built; None where it came with a wheel."""
    repository = assembly.parents[1]
    return repository if (repository / _BUILDER).is_file() else None


def hash_of_inputs(repository: Path) -> str:
    """Hash names and contents of all inputs: when it is the same, so would be everything that is built of them."""
    digest = hashlib.sha256()
    for path in sorted(_inputs(repository)):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(repository)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _inputs(repository: Path) -> list[Path]:
    chosen = [repository / name for name in _FILES if (repository / name).is_file()]
    for room in _ROOMS:
        for path in (repository / room).rglob("*"):
            if path.is_file() and not _LEFT_OUT.intersection(path.relative_to(repository).parts):
                chosen.append(path)
    return chosen
