"""Builds the agent's archive: the same bytes from the same sources, wherever it is built."""

import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from stacks.aws_descriptions import CALLS, ENDPOINTS, cut

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "agent.txt"

OLDEST_PYTHON = "3.11"
"""What the user data makes sure of on the machine."""

GENERAL_DATA = ("_retry.json", ENDPOINTS, "partitions.json", "sdk-default-configuration.json")
_LEFT_OUT_SUFFIXES = (".pyc",)
_INSTALLERS_OWN = (".lock", "INSTALLER", "RECORD", "REQUESTED")
"""What the installing tool writes: it differs from tool to tool, and nothing reads it."""

_LEFT_OUT_FOLDERS = ("__pycache__", "bin")
_WAITERS_AND_EXAMPLES = ("examples-1.json", "paginators-1.json", "paginators-1.sdk-extras.json", "waiters-2.json")


def build_agent_archive(target: Path) -> None:
    """Write `agent.tar.gz`: `bin/runctl-agent`, the agent below `lib/` and botocore beside it.

    Names are sorted, times and owners fixed, so that its hash, which the machine checks, says what is in it.
    Raises subprocess.CalledProcessError when the packages cannot be had.
    """
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(folder)
        _install(packages)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pack_agent(packages))


def pack_agent(packages: Path) -> bytes:
    """Put the agent's sources and what it needs of a folder of installed packages into one archive."""
    agent = ROOT / "runctl" / "agent"
    files = {f"lib/{path.relative_to(packages).as_posix()}": path for path in _needed(packages)}
    files["lib/runctl/__init__.py"] = ROOT / "runctl" / "__init__.py"
    files |= {f"lib/runctl/agent/{path.name}": path for path in agent.glob("*.py") if path.name != "bootstrap.py"}
    files["bin/runctl-agent"] = agent / "bin" / "runctl-agent"
    return _pack(files)


def _install(packages: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(packages)),
            *("--python-version", OLDEST_PYTHON, "--only-binary", ":all:", "--no-deps"),
            *("--require-hashes", "--requirement", str(REQUIREMENTS)),
        ],
        check=True,
    )


def _needed(packages: Path) -> list[Path]:
    data = packages / "botocore" / "data"
    needed = needed_data(data)
    for path in packages.rglob("*"):
        relative = path.relative_to(packages)
        if not path.is_file() or path.suffix in _LEFT_OUT_SUFFIXES or path.name in _INSTALLERS_OWN:
            continue
        if any(part in _LEFT_OUT_FOLDERS for part in relative.parts[:-1]):
            continue
        if not path.is_relative_to(data):
            needed.append(path)
    return needed


def needed_data(data: Path) -> list[Path]:
    """What of botocore's data the archive carries, cut down (`aws_descriptions`): all of it has 25 MB."""
    return [
        path
        for path in data.rglob("*")
        if path.is_file()
        and path.relative_to(data).parts[0] in (*CALLS, *GENERAL_DATA)
        and path.name.removesuffix(".gz") not in _WAITERS_AND_EXAMPLES
    ]


def _pack(files: dict[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            content = cut(files[name]) if name.startswith("lib/botocore/data/") else files[name].read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
