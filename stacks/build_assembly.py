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
from runctl.assembly import INPUTS
from runctl.checkout import hash_of_inputs
from stacks.agent_archive import build_agent_archive
from stacks.assembly import dependencies
from stacks.assembly.lambda_archive import build_lambda_archive
from stacks.assembly.layout import ASSEMBLY, BOOTSTRAP, KEPT, LAMBDA_REQUIREMENTS, REPOSITORY
from stacks.asset_keys import AssetKeys

MANIFEST_VERSION: Final = 1


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
        with tempfile.TemporaryDirectory(dir=KEPT, prefix="next-") as folder:
            built = Path(folder)
            assets = build_assets(built / "assets")
            template = synthesize(assets.keys)
            (built / "template.json").write_bytes(template)
            (built / "manifest.json").write_bytes(manifest_of(template, assets))
            (built / INPUTS).write_text(inputs, encoding="utf-8")
            _say(
                f"built runctl/_assembly: template {len(template) / 1e3:.0f} kB, "
                f"functions {assets.functions.megabytes:.1f} MB, agent {assets.agent.megabytes:.1f} MB"
            )
            publish(built, ASSEMBLY)
    return 0


def publish(built: Path, assembly: Path) -> None:
    """Put a whole assembly in the place of another, so quickly that whoever reads it needs to look twice at most.

    Archives and template first, then the manifest, then the note of what it was built of. What the manifest no longer
    names is removed: a wheel carries whatever lies here.
    """
    files = sorted((path.relative_to(built) for path in built.rglob("*") if path.is_file()), key=_last_are_notes)
    (assembly / "assets").mkdir(parents=True, exist_ok=True)
    for file in files:
        (built / file).replace(assembly / file)
    for former in {path.relative_to(assembly) for path in (assembly / "assets").iterdir()} - set(files):
        (assembly / former).unlink()


def _last_are_notes(file: Path) -> tuple[int, str]:
    return ("manifest.json", INPUTS).index(file.name) + 1 if file.name in ("manifest.json", INPUTS) else 0, str(file)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def is_current(assembly: Path, inputs: str) -> bool:
    """Whether the assembly was built of just these inputs and is whole."""
    noted, listed = assembly / INPUTS, assembly / "manifest.json"
    if not listed.is_file() or not noted.is_file() or noted.read_text(encoding="utf-8") != inputs:
        return False
    assets = json.loads(listed.read_bytes())["assets"]
    paths = [asset[name] for asset in assets for name in ("path", "requirements") if asset[name]]
    return all((assembly / path).is_file() for path in ("template.json", *paths))


def build_assets(folder: Path) -> Assets:
    """Build the archives into a folder, and put the functions' lock file beside them."""
    folder.mkdir(parents=True)
    functions, agent, requirements = folder / "lambda.zip", folder / "agent.tar.gz", folder / "lambda-requirements.txt"
    build_lambda_archive(functions, REPOSITORY, LAMBDA_REQUIREMENTS, dependencies.LAMBDA, KEPT)
    build_agent_archive(agent)
    requirements.write_bytes(LAMBDA_REQUIREMENTS.read_bytes())
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
    return None if path is None else f"assets/{path.name}"


@contextmanager
def _alone() -> Iterator[None]:
    """One build at a time; a second one waits, and then finds everything done."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
