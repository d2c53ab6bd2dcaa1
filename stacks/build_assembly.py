"""Build `runctl/_assembly`: the template, the archives and the manifest that a wheel and the local target carry.

`python -m stacks.build_assembly`. Quick when nothing changed; otherwise only what changed is installed again.
"""

import fcntl
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import runctl
from stacks.agent_archive import build_agent_archive
from stacks.assembly import dependencies
from stacks.assembly.inputs import hash_of_inputs
from stacks.assembly.lambda_archive import build_lambda_archive
from stacks.assembly.layout import ASSEMBLY, BOOTSTRAP, KEPT, LAMBDA_REQUIREMENTS, REPOSITORY
from stacks.asset_keys import AssetKeys

MANIFEST_VERSION: Final = 1

_INPUTS: Final = "inputs.sha256"
"""Hash of what the assembly was built of; written last, so that half an assembly is never taken for a whole one."""


@dataclass(frozen=True)
class Asset:
    """An archive, and the key that the template names. The extension is the CDK's own choice for such a file."""

    path: Path
    extension: str
    requirements: Path | None = None
    """Lock file of its compiled dependencies: the local target installs them for its own machine's Python."""

    @property
    def sha256(self) -> str:
        """Hash of the file at `path`."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def megabytes(self) -> float:
        """Size of the file at `path`."""
        return self.path.stat().st_size / 1e6

    @property
    def key(self) -> str:
        """Key in the asset bucket."""
        return f"{self.sha256}{self.extension}"


@dataclass(frozen=True)
class Assets:
    """What is uploaded before the template is deployed."""

    functions: Asset
    agent: Asset

    @property
    def files(self) -> dict[str, Path]:
        """Paths by hash."""
        return {asset.sha256: asset.path for asset in (self.functions, self.agent)}

    @property
    def keys(self) -> AssetKeys:
        """What the template names of them."""
        return AssetKeys(
            lambda_key=self.functions.key,
            agent_key=self.agent.key,
            agent_sha256=self.agent.sha256,
            bootstrap=BOOTSTRAP.read_text(encoding="utf-8"),
        )


def main() -> int:
    """Build what is not up to date and say so on stderr."""
    with _alone():
        inputs = hash_of_inputs(REPOSITORY)
        if is_current(ASSEMBLY, inputs):
            return 0
        assets = build_assets()
        template = synthesize(assets.keys)
        _replace(ASSEMBLY / "template.json", template)
        _replace(ASSEMBLY / "manifest.json", manifest_of(template, assets))
        _replace(ASSEMBLY / _INPUTS, inputs.encode())
    _say(
        f"built runctl/_assembly: template {len(template) / 1e3:.0f} kB, "
        f"functions {assets.functions.megabytes:.1f} MB, agent {assets.agent.megabytes:.1f} MB"
    )
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def is_current(assembly: Path, inputs: str) -> bool:
    """Whether the assembly was built of just these inputs and is whole."""
    noted, listed = assembly / _INPUTS, assembly / "manifest.json"
    if not listed.is_file() or not noted.is_file() or noted.read_text(encoding="utf-8") != inputs:
        return False
    assets = json.loads(listed.read_bytes())["assets"]
    paths = [asset[name] for asset in assets for name in ("path", "requirements") if asset[name]]
    return all((assembly / path).is_file() for path in ("template.json", *paths))


def build_assets() -> Assets:
    """Build the archives into `runctl/_assembly/assets`, and put the functions' lock file beside them."""
    folder = ASSEMBLY / "assets"
    folder.mkdir(parents=True, exist_ok=True)
    functions, agent, requirements = folder / "lambda.zip", folder / "agent.tar.gz", folder / "lambda-requirements.txt"
    with _unfinished(functions) as path:
        build_lambda_archive(path, REPOSITORY, LAMBDA_REQUIREMENTS, dependencies.LAMBDA, KEPT)
    with _unfinished(agent) as path:
        build_agent_archive(path)
    _replace(requirements, LAMBDA_REQUIREMENTS.read_bytes())
    for former in set(folder.glob("[!.]*")) - {functions, agent, requirements}:
        former.unlink()  # a wheel carries whatever lies here
    return Assets(Asset(functions, ".zip", requirements), Asset(agent, ".gz"))


def synthesize(keys: AssetKeys) -> bytes:
    """Synthesize the template; no credentials, no account, no network."""
    # The built-in validator takes most of the time; one test runs it.
    os.environ.setdefault("CDK_VALIDATION", "false")
    from stacks.app import build_app, template_of

    with tempfile.TemporaryDirectory() as folder:
        return template_of(build_app(keys, Path(folder)))


def manifest_of(template: bytes, assets: Assets) -> bytes:
    """What the deployer reads first."""
    manifest = {
        "version": MANIFEST_VERSION,
        "runctl_version": runctl.__version__,
        "template_sha256": hashlib.sha256(template).hexdigest(),
        "assets": [
            {
                "key": asset.key,
                "path": _relative(asset.path),
                "sha256": asset.sha256,
                "requirements": _relative(asset.requirements),
            }
            for asset in (assets.functions, assets.agent)
        ],
    }
    return json.dumps(manifest, indent=2).encode() + b"\n"


def _relative(path: Path | None) -> str | None:
    return None if path is None else path.relative_to(ASSEMBLY).as_posix()


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A path beside the target that becomes it at the end: nobody reads half an archive."""
    path = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield path
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)


def _replace(target: Path, content: bytes) -> None:
    with _unfinished(target) as path:
        path.write_bytes(content)


@contextmanager
def _alone() -> Iterator[None]:
    """One build at a time; a second one waits, and then finds everything done."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
