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
    """One file that is sent."""

    path: str
    """Relative to the root, with forward slashes."""
    place: str
    """Where it lies on this machine. A text, for ten thousand paths take a while to make."""
    stamp: tuple[int, int, int, int]
    """Size, times of the last change of content and of the file, inode: a file that has the same is taken to be the
    same."""
    is_executable: bool

    @property
    def source(self) -> Path:
        """Where it lies on this machine."""
        return Path(self.place)

    @property
    def bytes(self) -> int:
        """Size."""
        return self.stamp[0]

    def has_stamp_of(self, details: os.stat_result) -> bool:
        """Whether it is still the file that was seen."""
        return self.stamp == _stamp(details)


@dataclass(frozen=True)
class ProjectFiles:
    """All files that are sent, sorted by path, and what was left out although nobody asked for it."""

    files: tuple[ProjectFile, ...]
    skipped: tuple[str, ...] = ()
    """Sentences, one a file."""

    @property
    def bytes(self) -> int:
        """Size before compression."""
        return sum(file.bytes for file in self.files)


def _stamp(details: os.stat_result) -> tuple[int, int, int, int]:
    return details.st_size, details.st_mtime_ns, details.st_ctime_ns, details.st_ino


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
    root: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    script: str | None = None,
    max_bytes: int = MAX_PROJECT_BYTES,
) -> ProjectFiles:
    """List the files of a project that are not ignored.

    .gitignore files hold at every level as git reads them; `exclude` has more patterns, relative to the root, and
    `include` those of what is sent although a .gitignore says otherwise; `exclude` weighs more. Links to files are sent
    as the files; links to folders are left out and told. Raises InvalidSpec when nothing is left, when the script is
    not among them, or when they are too large (the largest are named).
    """
    if not root.is_dir():
        raise InvalidSpec(f"There is no folder {root}.", hint="Run the command inside the project.")
    walk = _Walk(root, include, exclude)
    files = tuple(sorted(walk.files(), key=lambda file: file.path))
    if not files:
        raise InvalidSpec(
            f"The project {root} is empty: there is nothing to send to the machine.",
            hint="Run the command in the training's own project; see what .gitignore and exclude in [sync] leave.",
        )
    if script is not None and script not in {file.path for file in files}:
        raise InvalidSpec(
            f"The script {script} is ignored, so that it would not be on the machine.",
            hint="Take it out of .gitignore, or out of exclude in [sync] of .runctl.toml.",
        )
    found = ProjectFiles(files, tuple(walk.skipped))
    if found.bytes > max_bytes:
        largest = sorted(files, key=lambda file: -file.bytes)[:_NAMED_FILES]
        names = ", ".join(f"{file.path} ({_megabytes(file.bytes)})" for file in largest)
        raise InvalidSpec(
            f"The project is {_megabytes(found.bytes)}; at most {_megabytes(max_bytes)} are sent. Largest: {names}.",
            hint="Name what the training does not need in .gitignore, or in exclude in [sync] of .runctl.toml.",
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
    include: Sequence[str]
    exclude: Sequence[str]
    skipped: list[str] = field(default_factory=list[str])

    def files(self) -> Iterator[ProjectFile]:
        from pathspec import GitIgnoreSpec

        self._fixed = GitIgnoreSpec.from_lines([*ALWAYS_EXCLUDED, *self.exclude])
        self._taken = GitIgnoreSpec.from_lines(self.include)
        self._ways = _ways_to(self.include)
        yield from self._below("", [], is_ignored=False)

    def _below(
        self, folder: str, levels: "list[tuple[str, GitIgnoreSpec]]", *, is_ignored: bool
    ) -> Iterator[ProjectFile]:
        here = self.root / folder
        own = None if is_ignored else _ignore_file(here)
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
            matched = f"{path}/" if is_folder else path
            if self._fixed.check_file(matched).include:
                continue
            ignored = is_ignored or _is_ignored(matched, levels)
            if ignored and self.include and self._taken.check_file(matched).include:
                ignored = False
            if is_folder and (not ignored or matched in self._ways):
                yield from self._below(matched, levels if not ignored else [], is_ignored=ignored)
            elif not is_folder and not ignored:
                yield from self._file(path, entry)

    def _file(self, path: str, entry: "os.DirEntry[str]") -> Iterator[ProjectFile]:
        try:
            details = entry.stat()
        except OSError:
            self.skipped.append(f"{path} is a link to nothing and is left out.")
            return
        if stat.S_ISDIR(details.st_mode):
            self.skipped.append(f"{path} is a link to a folder and is left out.")
        elif not path.isprintable() and not _is_utf8(path):
            self.skipped.append(f"{path.encode(errors='backslashreplace').decode()} is no name in UTF-8: left out.")
        elif not stat.S_ISREG(details.st_mode):
            self.skipped.append(f"{path} is not a regular file and is left out.")
        else:
            yield ProjectFile(path, entry.path, _stamp(details), bool(details.st_mode & stat.S_IXUSR))


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ignore_file(folder: Path) -> "GitIgnoreSpec | None":
    from pathspec import GitIgnoreSpec

    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    return GitIgnoreSpec.from_lines(lines)


def _is_ignored(path: str, levels: "list[tuple[str, GitIgnoreSpec]]") -> bool:
    """Ask the deepest .gitignore first, as git does: the last pattern that matches decides."""
    for folder, spec in reversed(levels):
        verdict = spec.check_file(path.removeprefix(folder)).include
        if verdict is not None:
            return verdict
    return False


def _ways_to(patterns: Sequence[str]) -> frozenset[str]:
    """The folders that must be gone through, ignored or not, to come to what patterns name: `a/` and `a/b/` of
    `a/b/*.csv`. A pattern without a folder is not looked for in folders that are ignored."""
    ways: set[str] = set()
    for pattern in patterns:
        way = ""
        for part in pattern.lstrip("/").split("/")[:-1]:
            if any(character in part for character in "*?["):
                break
            way += f"{part}/"
            ways.add(way)
    return frozenset(ways)
