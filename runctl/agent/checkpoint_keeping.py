"""Which checkpoints stay in the bucket, and which keys go. Pure: no clock, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from runctl.agent.checkpoint_folder import FileMark


@dataclass(frozen=True)
class StoredFile:
    """One file of a checkpoint in the bucket. Several checkpoints may name the same key: what has not changed is not
    uploaded again."""

    path: str
    key: str
    bytes: int
    sha256: str
    sample: str
    """What tells quickly that another file is not this one: `runctl.agent.known_files`."""


@dataclass(frozen=True)
class Uploaded:
    """A checkpoint that lies in the bucket."""

    name: str
    step: int | None
    finished_ns: int
    manifest_key: str
    files: tuple[StoredFile, ...]
    marks: tuple[FileMark, ...] = ()
    """What the files on the machine looked like: the entry is uploaded again only when they have changed."""


@dataclass(frozen=True)
class Keeping:
    """What is kept, oldest first, and what is removed: the manifests before the files that they name."""

    kept: tuple[Uploaded, ...]
    removed: tuple[str, ...]


def keep_newest(kept: Sequence[Uploaded], uploaded: Uploaded, keep: int) -> Keeping:
    """Keep the `keep` newest; one of the same name is replaced. A key that a kept one names is never removed."""
    others = [old for old in kept if old.name != uploaded.name]
    by_age = sorted([*others, uploaded], key=lambda one: one.finished_ns)
    stay, go = by_age[-keep:], by_age[:-keep]
    replaced = [old for old in kept if old.name == uploaded.name]
    needed = keys_of(stay)
    manifests = [old.manifest_key for old in go]
    files = [file.key for old in (*replaced, *go) for file in old.files if file.key not in needed]
    return Keeping(tuple(stay), tuple(dict.fromkeys([*manifests, *files])))


def keys_of(checkpoints: Sequence[Uploaded]) -> frozenset[str]:
    """All keys of files that the checkpoints name."""
    return frozenset(file.key for one in checkpoints for file in one.files)
