"""Runs that were seen lately in this project, kept on this machine: what the shell completes without asking AWS.

Importing boto3 alone takes longer than anybody waits for a completion.
"""

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from runctl.model.run import Run

_KEPT: Final = 200
_FILE_NAME: Final = ".runctl.toml"


def remember_runs(runs: "Iterable[Run]") -> None:
    """Note runs that a command has seen, the newest first. What cannot be written is left: only completion needs it."""
    seen = {run.run_id: [run.name, run.spec.label] for run in runs}
    if not seen:
        return
    path = _path()
    newest = sorted({**_read(path), **seen}.items(), reverse=True)[:_KEPT]
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(dict(newest)), encoding="utf-8")
        partial.replace(path)
    except OSError:
        return


def complete_runs(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete RUN: `last`, ids and names of runs that were seen, the newest first."""
    items = [CompletionItem("last", help="the newest run")]
    for run_id, (name, label) in sorted(_read(_path()).items(), reverse=True):
        items.append(CompletionItem(run_id, help=f"{name}: {label}"))
        items.append(CompletionItem(name, help=f"{run_id}: {label}"))
    return [item for item in items if item.value.startswith(incomplete)]


def _path() -> Path:
    """The file of this project; the folder of the nearest configuration is looked for without reading it."""
    here = Path.cwd()
    folder = next((each for each in (here, *here.parents) if (each / _FILE_NAME).is_file()), here)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "runctl" / "runs" / f"{sha256(str(folder).encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> dict[str, tuple[str, str]]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    entries = cast("dict[str, Any]", found).items()
    pairs = {run_id: cast("list[Any]", entry) for run_id, entry in entries if isinstance(entry, list)}
    return {run_id: (str(pair[0]), str(pair[1])) for run_id, pair in pairs.items() if len(pair) == 2}
