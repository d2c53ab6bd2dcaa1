"""Keeps what a training left in `RUNCTL_OUTPUT_DIR`."""

import json
from pathlib import Path

from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import Say


def save_output(folder: Path, prefix: str, store: ObjectStore, say: Say) -> None:
    """Upload the output, and last of all the listing with the hashes, by which `runctl download` checks it."""
    files: list[dict[str, str | int]] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        key = f"{prefix}output/{name}"
        try:
            stored = store.put_file(key, path)
        except OSError as error:
            say(f"output {name} could not be uploaded: {error}")
            continue
        files.append({"path": name, "key": key, "bytes": stored.bytes, "sha256": stored.sha256})
    if not files:
        return
    try:
        listing = json.dumps({"version": 1, "files": files}, indent=1)
        store.put(f"{prefix}output.json", listing.encode())
    except OSError as error:
        say(f"the listing of the output could not be uploaded: {error}")
