"""A project in the bucket: packs of file contents, and a listing that says which file of the project lies where.

Everything is named by its content. A listing may be the *change* against another one, so that a project of many files
of which one changed costs no more than that file.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from runctl.model.base import WireModel
from runctl.model.run import CodeRef

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class CodeFile(NamedTuple):
    """One file of a project, a row in JSON, for there may be ten thousand."""

    path: str
    """Relative to the project's root, with forward slashes."""
    sha256: Sha256
    bytes: Count
    is_executable: bool
    pack: Count
    """Index into the listing's `packs`."""
    offset: Count
    stored_bytes: Count
    """How many bytes of the pack are the file's."""
    is_compressed: bool
    """Whether they are a zlib stream (RFC 1950) or the file as it is."""


class CodePack(NamedTuple):
    """Contents of many small files, or of one large one, one behind the other; its key names its SHA-256."""

    key: str
    bytes: Count


class CodeListing(WireModel):
    """`code/<sha256>.json.gz`: what `CodeRef.key` names. Written after all that it names."""

    version: Literal[1] = 1
    base: CodeRef | None = None
    """Another listing, without a base of its own, that this one changes. None: this one is whole."""
    packs: tuple[CodePack, ...] = ()
    files: tuple[CodeFile, ...] = ()
    """Files that are new or other than in the base."""
    removed: tuple[str, ...] = ()
    """Paths of the base that are gone."""
