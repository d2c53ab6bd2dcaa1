"""Where a project begins, and which of its files a training gets. Standard library and pathspec only."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from runctl.errors import InvalidSpec

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_MARKS: Final = ((".runctl.toml",), (".git", "pyproject.toml"), ("setup.py", "requirements.txt"))
"""What marks the root of a project, the surest first; the nearest folder that has one of a rank wins."""

ALWAYS_EXCLUDED: Final = (
    ".git",
    ".hg/",
    ".svn/",
    ".runctl/",
    ".venv/",
    "__pycache__/",
    "*.pyc",
    ".ipynb_checkpoints/",
    ".DS_Store",
)
"""What no training needs, in .gitignore's words. `.git` is a file in a worktree, hence no slash."""

MAX_PROJECT_BYTES: Final = 500_000_000
"""More than this is data, not code, and is better kept in a bucket. Before compression."""

_NAMED_FILES: Final = 5


@dataclass(frozen=True)
class ProjectFile:
    """One file that goes into the archive."""

    path: str
    """Relative to the root, with forward slashes."""
    source: Path
    bytes: int


@dataclass(frozen=True)
class ProjectFiles:
    """All files that go into the archive, sorted by path, and what was left out although nobody asked for it."""

    files: tuple[ProjectFile, ...]
    skipped: tuple[str, ...] = ()
    """Sentences, one a file."""

    @property
    def bytes(self) -> int:
        """Size before compression."""
        return sum(file.bytes for file in self.files)


def find_project_root(start: Path) -> Path | None:
    """Find the folder of the project that `start` lies in; None when nothing above it looks like one."""
    folder = start.resolve()
    for marks in _MARKS:
        for candidate in (folder, *folder.parents):
            if any((candidate / mark).exists() for mark in marks):
                return candidate
    return None


def script_in_project(script: Path, root: Path) -> str:
    """Name a script as the machine will: relative to the root. Raises InvalidSpec when it is missing or outside."""
    named = script if script.is_absolute() else Path.cwd() / script
    inside = Path(os.path.normpath(named))
    top = Path(os.path.normpath(root))
    if not inside.is_relative_to(top):
        inside, top = named.resolve(), root.resolve()
    if not named.exists():
        near = _near_scripts(script, root)
        raise InvalidSpec(
            f"There is no script {script}.",
            hint=f"Did you mean {' or '.join(near)}?" if near else f"Looked in {named.parent}.",
        )
    if not named.is_file():
        raise InvalidSpec(f"{script} is a folder, not a script.", hint="Name the file that starts the training.")
    if not inside.is_relative_to(top):
        raise InvalidSpec(
            f"The script {script} lies outside the project {root}.",
            hint="Only the project is sent to the machine: move the script into it, or work in the script's project.",
        )
    return PurePosixPath(inside.relative_to(top)).as_posix()


def module_in_project(module: str, root: Path) -> str:
    """Find the file that `python -m MODULE` would run in the project. Raises InvalidSpec when there is none."""
    below = module.replace(".", "/")
    candidates = [f"{start}{below}{end}" for start in ("", "src/") for end in (".py", "/__main__.py")]
    found = next((name for name in candidates if (root / name).is_file()), None)
    if found is None:
        raise InvalidSpec(
            f"There is no module {module} in the project {root}: no {candidates[0]} and no {candidates[1]}.",
            hint=f"A module of a package that is installed is run with: --command 'python -m {module}'",
        )
    return found


def collect_files(
    root: Path, *, exclude: Sequence[str] = (), script: str | None = None, max_bytes: int = MAX_PROJECT_BYTES
) -> ProjectFiles:
    """List the files of a project that are not ignored.

    .gitignore files hold at every level as git reads them; `exclude` has more patterns, relative to the root. Links
    to files are sent as the files; links to folders are left out and told. Raises InvalidSpec when nothing is left,
    when the script is not among them, or when they are too large (the largest are named).
    """
    if not root.is_dir():
        raise InvalidSpec(f"There is no folder {root}.", hint="Run the command inside the project.")
    walk = _Walk(root, exclude)
    files = tuple(sorted(walk.files(), key=lambda file: file.path))
    if not files:
        raise InvalidSpec(
            f"The project {root} is empty: there is nothing to send to the machine.",
            hint="Run the command in the training's own project; see what .gitignore and exclude in [project] leave.",
        )
    if script is not None and script not in {file.path for file in files}:
        raise InvalidSpec(
            f"The script {script} is ignored, so that it would not be on the machine.",
            hint="Take it out of .gitignore, or out of exclude in [project] of .runctl.toml.",
        )
    found = ProjectFiles(files, tuple(walk.skipped))
    if found.bytes > max_bytes:
        largest = sorted(files, key=lambda file: -file.bytes)[:_NAMED_FILES]
        names = ", ".join(f"{file.path} ({_megabytes(file.bytes)})" for file in largest)
        raise InvalidSpec(
            f"The project is {_megabytes(found.bytes)}; at most {_megabytes(max_bytes)} are sent. Largest: {names}.",
            hint="Name what the training does not need in .gitignore, or in exclude in [project] of .runctl.toml.",
        )
    return found


def is_empty_project(root: Path) -> bool:
    """Whether the folder holds nothing that a person put there, but perhaps a configuration."""
    return not any(entry.name not in {".runctl.toml", ".runctl", ".git", ".gitignore"} for entry in root.iterdir())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _near_scripts(script: Path, root: Path) -> list[str]:
    from difflib import get_close_matches

    folder = script.parent if script.parent.is_dir() else root
    prefix = "" if folder in (Path(), root) else f"{folder}/"
    names = [entry.name for entry in folder.iterdir() if entry.suffix in {".py", ".sh"}] if folder.is_dir() else []
    return [prefix + name for name in get_close_matches(script.name, names, n=2)]


@dataclass
class _Walk:
    """One walk through a project, with the patterns that hold at each level."""

    root: Path
    exclude: Sequence[str]
    skipped: list[str] = field(default_factory=list[str])

    def files(self) -> Iterator[ProjectFile]:
        from pathspec import GitIgnoreSpec

        fixed = GitIgnoreSpec.from_lines([*ALWAYS_EXCLUDED, *self.exclude])
        yield from self._below("", [], fixed)

    def _below(
        self, folder: str, levels: "list[tuple[str, GitIgnoreSpec]]", fixed: "GitIgnoreSpec"
    ) -> Iterator[ProjectFile]:
        here = self.root / folder
        own = _ignore_file(here)
        if own is not None:
            levels = [*levels, (folder, own)]
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            raise InvalidSpec(
                f"{here} cannot be read: {error.strerror}.", hint="Exclude it, or mend its rights."
            ) from error
        for entry in entries:
            path = f"{folder}{entry.name}"
            is_folder = entry.is_dir(follow_symlinks=False)
            if _is_ignored(path + ("/" if is_folder else ""), levels, fixed):
                continue
            if is_folder:
                yield from self._below(f"{path}/", levels, fixed)
            else:
                yield from self._file(path, Path(entry.path))

    def _file(self, path: str, source: Path) -> Iterator[ProjectFile]:
        try:
            details = source.stat()
        except OSError:
            self.skipped.append(f"{path} is a link to nothing and is left out.")
            return
        if stat.S_ISDIR(details.st_mode):
            self.skipped.append(f"{path} is a link to a folder and is left out.")
        elif not stat.S_ISREG(details.st_mode):
            self.skipped.append(f"{path} is not a regular file and is left out.")
        else:
            yield ProjectFile(path, source, details.st_size)


def _ignore_file(folder: Path) -> "GitIgnoreSpec | None":
    from pathspec import GitIgnoreSpec

    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    return GitIgnoreSpec.from_lines(lines)


def _is_ignored(path: str, levels: "list[tuple[str, GitIgnoreSpec]]", fixed: "GitIgnoreSpec") -> bool:
    """Ask the deepest .gitignore first, as git does: the last pattern that matches decides."""
    if fixed.check_file(path).include:
        return True
    for folder, spec in reversed(levels):
        verdict = spec.check_file(path.removeprefix(folder)).include
        if verdict is not None:
            return verdict
    return False
