"""Which run a person means."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from runctl.client.deployment import RunTable
from runctl.errors import NotFoundError
from runctl.model.ids import RUN_ID_PATTERN, RunId
from runctl.model.run import Run

LAST: Final = "last"

_SEARCHED: Final = 1_000
"""How many of the project's newest runs the beginning of an id is looked for in."""

_NAMED: Final = 5


def find_run(runs: RunTable, project: str, name: str) -> Run:
    """Find a run by its whole id, by an unambiguous beginning of it, by its name, or as `last`, the project's newest.

    A whole id is read directly and strongly consistent, whatever its project. Raises NotFoundError with the near ids.
    """
    if RUN_ID_PATTERN.fullmatch(name):
        run = runs.run(RunId(name))
        if run is not None:
            return run
        raise _not_found(name, runs.runs_of_project(project, _SEARCHED), project)
    if name == LAST:
        newest = runs.runs_of_project(project, 1)
        if newest:
            return _read_again(runs, newest[0])
        raise NotFoundError(f"The project {project} has no runs yet.", hint="Start one with: runctl train SCRIPT")
    listed = runs.runs_of_project(project, _SEARCHED)
    found = [run for run in listed if run.run_id.startswith((name, f"r-{name}")) or run.name == name]
    if len(found) == 1:
        return _read_again(runs, found[0])
    if found:
        ids = ", ".join(run.run_id for run in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise NotFoundError(
            f"{name!r} may mean several runs: {ids}{more}.", hint="Write more of the id, or the whole of it."
        )
    raise _not_found(name, listed, project)


def _read_again(runs: RunTable, listed: Run) -> Run:
    """Read strongly consistent what the index told, which may be a little old."""
    return runs.run(listed.run_id) or listed


def _not_found(name: str, listed: Sequence[Run], project: str) -> NotFoundError:
    known = [word for run in listed for word in (run.run_id, run.name)]
    near = get_close_matches(name, dict.fromkeys(known), n=2, cutoff=0.75)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"List the runs of {project} with: runctl ps"
    return NotFoundError(f"There is no run {name}.", hint=hint)
