"""The built assembly: what `make assembly` wrote and a wheel carries. docs/architecture.md, "The assembly"."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel, ConfigDict, ValidationError

import runctl
from runctl.checkout import checkout_around, hash_of_inputs
from runctl.errors import AssemblyDamaged, AssemblyMissing, AssemblyStale

DEFAULT_DIRECTORY: Final = Path(runctl.__file__).parent / "_assembly"

INPUTS: Final = "inputs.sha256"
"""Hash of what the assembly was built of, beside it in a checkout; written last, so that half an assembly is never
taken for a whole one."""

_MISFITS: Final = 8
"""Readings under one manifest after which it is no build that makes them differ."""
_READINGS: Final = 200
"""In all: somebody who builds without end is told too."""
_PAUSE_S: Final = 0.05

_HINT: Final = "Run `make assembly` in a checkout, or install runctl again from its wheel."


class _Asset(BaseModel):
    model_config = ConfigDict(frozen=True)
    key: str
    path: str
    sha256: str
    requirements: str | None = None


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)
    version: int
    runctl_version: str
    template_sha256: str
    assets: tuple[_Asset, ...]


@dataclass(frozen=True)
class Asset:
    """A file that the template names by its key in the asset bucket; whole, for a build may replace it on the disk."""

    key: str
    content: bytes
    sha256: str
    """Of the content."""
    requirements: bytes | None = None
    """Lock file of the compiled dependencies in it, which another Python than Lambda's needs built for itself."""


@dataclass(frozen=True)
class Assembly:
    """A template and its assets, each checked against the manifest."""

    template_text: str
    template_sha256: str
    assets: tuple[Asset, ...]
    """What is uploaded to AWS. `runctl.local.functions_archive` puts builds for this machine in their place."""

    @property
    def template(self) -> dict[str, Any]:
        """The template as CloudFormation reads it."""
        return cast("dict[str, Any]", json.loads(self.template_text))

    @property
    def parameter_names(self) -> frozenset[str]:
        """The template's parameters."""
        return frozenset(self.template.get("Parameters", {}))

    @property
    def function_keys(self) -> dict[str, str]:
        """Keys of the archives of functions, by logical id, for those that are among the assets."""
        keys = {asset.key for asset in self.assets}
        resources = cast("dict[str, dict[str, Any]]", self.template["Resources"])
        return {
            logical_id: key
            for logical_id, resource in resources.items()
            if resource["Type"] == "AWS::Lambda::Function"
            and (key := resource["Properties"]["Code"].get("S3Key")) in keys
        }


def load_assembly(directory: Path = DEFAULT_DIRECTORY) -> Assembly:
    """Read and check an assembly. Raises `AssemblyMissing`, `AssemblyDamaged`, and in a checkout
    `AssemblyStale`: functions older than the client that starts them make runs hang.

    A build replaces its files one after the other, within milliseconds, the manifest after what it names: what does not
    fit is read again, and is damaged only when it does not fit while nobody builds.
    """
    seen: bytes | None = None
    misfits = readings = 0
    while True:
        manifest = _manifest(directory)
        misfits = misfits + 1 if manifest == seen else 1
        readings += 1
        seen = manifest
        try:
            assembly = _read_whole(directory, manifest)
            _require_current(directory)
        except (AssemblyDamaged, AssemblyStale):
            if misfits == _MISFITS or readings == _READINGS:
                raise
        else:
            return assembly
        time.sleep(_PAUSE_S)


def _require_current(directory: Path) -> None:
    checkout = checkout_around(directory)
    if checkout is None:
        return
    noted = directory / INPUTS
    if not noted.is_file() or noted.read_text(encoding="utf-8") != hash_of_inputs(checkout):
        raise AssemblyStale(
            "The built template is older than the code of this checkout.", hint="Run `make assembly`, then try again."
        )


def _manifest(directory: Path) -> bytes:
    try:
        return (directory / "manifest.json").read_bytes()
    except FileNotFoundError as error:
        raise AssemblyMissing("There is no built template to deploy.", hint=_HINT) from error


def _read_whole(directory: Path, manifest_text: bytes) -> Assembly:
    try:
        manifest = _Manifest.model_validate_json(manifest_text)
    except ValidationError as error:
        raise AssemblyDamaged(f"manifest.json of the assembly cannot be read: {error}", hint=_HINT) from error
    template = _read(directory, "template.json")
    template_sha256 = hashlib.sha256(template).hexdigest()
    _require_same("template.json", template_sha256, manifest.template_sha256)
    assets: list[Asset] = []
    for asset in manifest.assets:
        content = _read(directory, asset.path)
        sha256 = hashlib.sha256(content).hexdigest()
        _require_same(asset.path, sha256, asset.sha256)
        requirements = None if asset.requirements is None else _read(directory, asset.requirements)
        assets.append(Asset(asset.key, content, sha256, requirements))
    return Assembly(template.decode(), template_sha256, tuple(assets))


def _read(directory: Path, path: str) -> bytes:
    try:
        return (directory / path).read_bytes()
    except FileNotFoundError as error:
        raise AssemblyDamaged(f"The assembly lacks {path}, which its manifest names.", hint=_HINT) from error


def _require_same(path: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise AssemblyDamaged(f"{path} of the assembly is not the file that its manifest names.", hint=_HINT)
