"""`runctl download`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runctl.errors import NotFoundError, UsageError
from runctl_cli.invocation import Invocation
from runctl_cli.known_runs import complete_runs
from runctl_cli.root import Verb
from runctl_cli.values import bytes_text

if TYPE_CHECKING:
    from runctl.client.downloading import FetchedFile
    from runctl.model.run import Run

EXAMPLES = """\b
Examples:
  runctl download last
  runctl download last --to weights --latest
  runctl download r-1hx3k7p --checkpoint step-400.npz
  runctl download last --outputs --logs
"""


@click.command(cls=Verb, epilog=EXAMPLES)
@click.argument("run_name", metavar="RUN", shell_complete=complete_runs)
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="[default: the run's id]"
)
@click.option("--latest", is_flag=True, help="The newest complete checkpoint.")
@click.option("--checkpoint", metavar="NAME", help="The checkpoint of this name.")
@click.option("--outputs", is_flag=True, help="What the script left in RUNCTL_OUTPUT_DIR.")
@click.option("--logs", is_flag=True, help="What the training printed, a file an attempt.")
@click.pass_obj
def download(
    invocation: Invocation,
    run_name: str,
    folder: Path | None,
    latest: bool,
    checkpoint: str | None,
    outputs: bool,
    logs: bool,
) -> None:
    """Fetch a run's newest checkpoint and its outputs.

    RUN is an id, the beginning of one, or "last". Flags choose what is fetched, in place of these two. Every file is
    checked by its SHA-256; one that is there already is not fetched again. DIR gets checkpoints/, output/ and logs/.
    """
    if latest and checkpoint is not None:
        raise UsageError("Two checkpoints are asked for: --latest and --checkpoint.", hint="Use one of them.")
    is_default = not (latest or checkpoint is not None or outputs or logs)
    client = invocation.client
    run = client.run(run_name)
    target = folder or Path(run.run_id)
    plan = client.plan_download(
        run, target, latest=latest or is_default, checkpoint=checkpoint, output=outputs or is_default
    )
    if not plan.files and not logs:
        raise _nothing(run, latest=latest, outputs=outputs)
    progress = invocation.progress("Fetching")
    try:
        fetched = client.download(plan, progress.add)
    finally:
        progress.end()
    kept = _keep_logs(invocation, run, target) if logs else ()
    manifest = plan.checkpoint
    data = {
        "run_id": run.run_id,
        "folder": str(target),
        "checkpoint": None if manifest is None else manifest.name,
        "step": None if manifest is None else manifest.step,
        "files": [_file(each, target) for each in fetched],
        "logs": [str(path.relative_to(target)) for path in kept],
    }

    def text() -> None:
        _tell(invocation, fetched, kept)
        invocation.say_next((f"runctl report {run.run_id}", "a page about it"))

    invocation.answer(data, text)


def _nothing(run: "Run", *, latest: bool, outputs: bool) -> NotFoundError:
    what = "complete checkpoint" if latest else "output" if outputs else "complete checkpoint and no output"
    earlier = run.resumed_from
    hint = (
        f"See what it printed with: runctl logs {run.run_id}"
        if earlier is None
        else f"It went on from an earlier run; fetch that one's: runctl download {earlier.run_id}"
    )
    return NotFoundError(f"The run {run.run_id} left no {what}.", hint=hint)


def _file(each: "FetchedFile", folder: Path) -> dict[str, Any]:
    path = each.path.relative_to(folder.resolve()).as_posix()
    return {"path": path, "bytes": each.bytes, "sha256": each.sha256, "fetched": each.fetched}


def _keep_logs(invocation: Invocation, run: "Run", folder: Path) -> tuple[Path, ...]:
    """Write what each attempt printed to `logs/<attempt>.log`."""
    from runctl.client.downloading import LOGS, cannot_write

    lines: dict[int, list[str]] = {}
    for entry in invocation.client.logs(run.run_id):
        lines.setdefault(entry.attempt, []).append(f"{entry.line.text}\n")
    paths: list[Path] = []
    try:
        (folder / LOGS).mkdir(parents=True, exist_ok=True)
        for attempt, texts in lines.items():
            path = folder / LOGS / f"{attempt:04d}.log"
            path.write_text("".join(texts), encoding="utf-8")
            paths.append(path)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return tuple(paths)


def _tell(invocation: Invocation, fetched: "tuple[FetchedFile, ...]", logs: tuple[Path, ...]) -> None:
    from os.path import relpath

    for each in fetched:
        click.echo(relpath(each.path))
    for path in logs:
        click.echo(relpath(path))
    new = [each for each in fetched if each.fetched]
    there = len(fetched) - len(new)
    size = bytes_text(sum(each.bytes for each in new))
    files = "1 file" if len(new) == 1 else f"{len(new)} files"
    invocation.say(f"Fetched {files}, {size}" + (f"; {there} were there already." if there else "."))
