"""Sending a project of 10,000 files and 200 MB, beside `aws s3 sync` to the same store.

To be measured on a machine that does nothing else: unchanged, it is a fifth of a second of one processor.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from benchmarks.bench_cloud import REPOSITORY, BenchCloud
from runctl.client.client import Client
from runctl.client.code_sync import SyncedCode
from runctl.client.connect import connect
from runctl.client.project import collect_files
from runctl.model.names import Output
from tests.demo.account import Account

FILES: Final = 10_000
FILE_BYTES: Final = 20_000
UNCHANGED_LIMIT_S: Final = 0.5
CHANGED_LIMIT_S: Final = 1.0
CHANGED_LIMIT_TIMES: Final = 2.0
RIVAL_TIMES: Final = 2.0

RIVAL: Final = "awscli==1.46.2"
"""The AWS CLI, into an environment of its own, from the package index."""

_BENCH: Final = REPOSITORY / ".runctl" / "bench"

Answer = TypeVar("Answer")


def code_sync(cloud: BenchCloud) -> tuple[dict[str, Any], bool]:
    """Seconds and bytes of a first upload, of an unchanged project and of one changed file; beside `aws s3 sync`."""
    cloud.up()
    project = _write_project(_BENCH / "many-files")
    program = _rival()
    environment: dict[str, str] = cloud.runctl.ask("local", "env")
    bucket = Account(environment).output(Output.BUCKET)
    shutil.rmtree(_BENCH / "memory", ignore_errors=True)
    client = Client(connect(environment=environment), project="bench", memory_folder=_BENCH / "memory")
    client.runs(1)

    def send() -> SyncedCode:
        return client.sync(project, collect_files(project))

    first_s, first = _timed(send)
    unchanged = [_timed(send) for _ in range(5)]
    changed = [_timed(send) for _ in _changes(project)]
    rival_first_s, _ = _timed(lambda: _run(program, project, bucket, environment))
    rival_unchanged_s, _ = _timed(lambda: _run(program, project, bucket, environment))

    worst_unchanged = max(seconds for seconds, _ in unchanged)
    worst_changed = max(seconds for seconds, _ in changed)
    most_bytes = max(synced.sent_bytes for _, synced in changed)
    moved = sum(synced.sent_bytes for _, synced in unchanged)
    times = most_bytes / FILE_BYTES
    faster = rival_first_s / first_s
    print(f"{first.files:,} files, {first.bytes / 1e6:.0f} MB; {first.sent_bytes / 1e6:.0f} MB went out")
    print(f"{'first upload':<36} {first_s:7.2f} s")
    print(f"{'  aws s3 sync':<36} {rival_first_s:7.2f} s  {faster:.1f} times ours (at least {RIVAL_TIMES:.0f})")
    print(f"{'unchanged, worst of 5':<36} {worst_unchanged:7.2f} s  (at most {UNCHANGED_LIMIT_S}), {moved} bytes moved")
    print(f"{'  aws s3 sync':<36} {rival_unchanged_s:7.2f} s")
    print(f"{'one file changed, worst of 5':<36} {worst_changed:7.2f} s  (at most {CHANGED_LIMIT_S})")
    print(f"{'  bytes moved for its ' + str(FILE_BYTES):<36} {most_bytes:7}    {times:.2f} times (at most 2)")
    reached = (
        moved == 0
        and worst_unchanged <= UNCHANGED_LIMIT_S
        and worst_changed <= CHANGED_LIMIT_S
        and times <= CHANGED_LIMIT_TIMES
        and faster >= RIVAL_TIMES
    )
    return {
        "files": first.files,
        "bytes": first.bytes,
        "first_s": first_s,
        "first_sent_bytes": first.sent_bytes,
        "unchanged_s": [seconds for seconds, _ in unchanged],
        "changed_s": [seconds for seconds, _ in changed],
        "changed_sent_bytes": most_bytes,
        "aws_s3_sync_first_s": rival_first_s,
        "aws_s3_sync_unchanged_s": rival_unchanged_s,
    }, reached


def _timed(what: Callable[[], Answer]) -> tuple[float, Answer]:
    began = time.perf_counter()
    answer = what()
    return time.perf_counter() - began, answer


def _write_project(root: Path) -> Path:
    """Half of the files text, half noise that does not compress; written anew, and then left for a while, for what was
    written just before is read twice."""
    shutil.rmtree(root, ignore_errors=True)
    noise = Random(1)
    words = [noise.randbytes(noise.randint(1, 5)).hex().encode() for _ in range(2_000)]
    for number in range(FILES):
        file = root / f"package{number % 100:02d}" / f"module{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = b" ".join(noise.choices(words, k=FILE_BYTES // 3)) if number % 2 else noise.randbytes(FILE_BYTES)
        file.write_bytes(text[:FILE_BYTES])
    (root / ".gitignore").write_text("*.log\nbuild/\ndata/\n__pycache__/\n*.egg-info/\n.env\n")
    time.sleep(3)
    return root


def _changes(project: Path) -> Any:
    """Change one file after the other."""
    noise = Random(time.time_ns())
    for number in range(0, 10, 2):  # those that do not compress
        (project / f"package{number:02d}" / f"module{number}.py").write_bytes(noise.randbytes(FILE_BYTES))
        yield number


def _rival() -> Path:
    """The AWS CLI's program; installed once."""
    folder = _BENCH / "rival"
    program = folder / "bin" / "aws"
    if not program.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", RIVAL], check=True)
    return program


def _run(program: Path, project: Path, bucket: str, environment: dict[str, str]) -> None:
    """Let it send the same files to the same bucket."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    subprocess.run(
        [program, "s3", "sync", "--only-show-errors", project, f"s3://{bucket}/rival/"],
        env={**own, **environment},
        check=True,
    )
