"""Measure what the agent takes of a machine: `python -m benchmarks.agent [--seconds N]`, or `make bench-agent`.

The agent of the assembly runs as on a machine, beside a training that prints 100 lines a second, against an AWS on the
loopback that agrees to everything: how long its start takes, the memory and the share of a core of all its processes
(supervisor, guard, keeper; where systemd keeps the supervisor there is no guard). Then the training leaves a checkpoint
of two gibibytes: the memory while that is uploaded, and how fast it goes. Memory is the sum of what each process has
resident, though they share pages of the interpreter. CPU time is worth comparing anywhere, wall-clock time on a quiet
machine only.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_cloud import REPOSITORY
from tests.agent.aws_sink import Sink, aws_sink
from tests.agent.factories import INSTANCE_ID, PREFIX, RUN_ID, agent_job, project

MEMORY_LIMIT_MB: Final = 80.0
"""Of 10^6 bytes."""

CORE_LIMIT_PERCENT: Final = 2.0
START_LIMIT_S: Final = 1.0
SECONDS: Final = 300
FOLDER: Final = REPOSITORY / ".runctl" / "bench"
CHECKPOINT_MIB: Final = 2_048
TRAINING: Final = """\
import json, os, time
metrics = open(os.environ["RUNCTL_METRICS_FILE"], "a", buffering=1)
step, due = 0, time.monotonic()
while True:
    step += 1
    print(f"step {step}/1000000 loss {1 / step:.6f} lr 0.001 {step % 7 * 100} samples/s", flush=True)
    if step % 100 == 0:
        metrics.write(json.dumps({"step": step, "loss": 1 / step}) + "\\n")
    due += 0.01
    time.sleep(max(0.0, due - time.monotonic()))
"""


@contextmanager
def machine() -> Iterator[tuple[Path, Sink, dict[str, str]]]:
    """Lay a machine out: the agent unpacked, its job in the bucket. Answers its root and the environment."""
    code = project({"train.py": TRAINING})
    job = agent_job(code, max_runtime_s=3_600)
    with tempfile.TemporaryDirectory() as name, aws_sink() as aws:
        root = Path(name)
        agent = root / "agent" / "current"
        with tarfile.open(REPOSITORY / "runctl" / "_assembly" / "assets" / "agent.tar.gz") as tar:
            tar.extractall(agent, filter="data")
        (root / "python").write_text(sys.executable + "\n")
        record = {"bucket": "bucket", "bus_name": "bus", "machine_role_id": "AROAEXAMPLE", "region": "us-east-1"}
        (root / "machine.json").write_text(json.dumps(record))
        aws.objects[f"handoff/AROAEXAMPLE:{INSTANCE_ID}/job.json"] = job.model_dump_json().encode()
        aws.objects |= code.objects
        aws.metadata["instance-id"] = INSTANCE_ID
        (root / "bin").mkdir()
        for command in ("shutdown", "poweroff"):  # whatever goes wrong, this machine stays on
            (root / "bin" / command).write_text("#!/bin/sh\n")
            (root / "bin" / command).chmod(0o755)
        environment = {
            **os.environ,
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "RUNCTL_ROOT": str(root),
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        yield root, aws, environment


def measure(seconds: float) -> tuple[dict[str, Any], bool]:
    """Start an attempt, let it train, let it upload a checkpoint, and look at the agent meanwhile."""
    with machine() as (root, aws, environment):
        program = str(root / "agent" / "current" / "bin" / "runctl-agent")
        # Of attempts that have no job: Python's caches are warm, as they are on a machine that has announced itself.
        for attempt in ("98", "99"):
            _start(program, attempt, environment)
        began = time.monotonic()
        _start(program, "2", environment)
        start_s = time.monotonic() - began
        attempt = root / "runs" / RUN_ID / "attempt-2"
        try:
            _until(lambda: any(log.stat().st_size > 10_000 for log in attempt.glob("training-*.log")))
            agent = _agent(root)
            cpu_s, before = sum(map(_cpu_s, agent.values())), time.monotonic()
            time.sleep(seconds)
            cpu_s, elapsed = sum(map(_cpu_s, agent.values())) - cpu_s, time.monotonic() - before
            lines = sum(log.read_bytes().count(b"\n") for log in attempt.glob("training-*.log"))
            resident = {name: _resident_mb(pid, "VmHWM") for name, pid in agent.items()}
            began, began_cpu_s = time.monotonic(), _cpu_s(agent["supervisor"])
            _leave_checkpoint(attempt / "checkpoints")
            manifest = f"{PREFIX}checkpoints/step-1/manifest.json"
            _until(lambda: manifest in aws.sizes)
            upload_s, upload_cpu_s = time.monotonic() - began, _cpu_s(agent["supervisor"]) - began_cpu_s
            uploading = {name: _resident_mb(pid, "VmHWM") for name, pid in agent.items()}
        finally:
            _end(root)
    uploaded = sum(size for key, size in aws.sizes.items() if "/checkpoints/step-1/files/" in key)
    assert uploaded == CHECKPOINT_MIB * 1024 * 1024, f"{uploaded} bytes arrived"
    percent = 100 * cpu_s / elapsed
    peak_mb, uploading_mb = sum(resident.values()), sum(uploading.values())
    each = ", ".join(f"{name} {size:.1f}" for name, size in resident.items())
    print(f"start command                {start_s:7.2f} s    (at most {START_LIMIT_S:.0f})")
    print(f"resident at most             {peak_mb:7.1f} MB   (at most {MEMORY_LIMIT_MB:.0f}; {each})")
    print(
        f"of one core, over {elapsed:5.0f} s     {percent:7.2f} %    (at most {CORE_LIMIT_PERCENT:.0f}; {lines} lines)"
    )
    print(f"uploading {CHECKPOINT_MIB} MiB           {uploading_mb:7.1f} MB   (at most {MEMORY_LIMIT_MB:.0f})")
    print(f"to a store on the loopback   {CHECKPOINT_MIB / upload_s:7.1f} MiB/s (CPU {upload_cpu_s:.1f} s)")
    figures = {
        "start_s": start_s,
        "resident_mb": resident,
        "core_percent": percent,
        "seconds": elapsed,
        "lines": lines,
        "uploading_mb": uploading,
        "upload_s": upload_s,
        "upload_cpu_s": upload_cpu_s,
        "calls": dict(aws.calls),
    }
    reached = (
        percent <= CORE_LIMIT_PERCENT
        and max(peak_mb, uploading_mb) <= MEMORY_LIMIT_MB
        and start_s <= START_LIMIT_S
        and lines >= 99 * elapsed  # else it was no training that prints a hundred a second
    )
    return figures, reached


def _leave_checkpoint(checkpoints: Path) -> None:
    """Four shards that are holes, renamed into their place."""
    new = checkpoints / "step-1.tmp"
    new.mkdir()
    for number in range(4):
        with (new / f"shard-{number}").open("wb") as file:
            file.truncate(CHECKPOINT_MIB * 1024 * 1024 // 4)
            file.write(bytes([number]))
    new.rename(checkpoints / "step-1")


def _agent(root: Path) -> dict[str, int]:
    """The agent's processes, by what they are."""
    found: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if str(root) not in "".join(words):
                continue
            for name, sign in (("supervisor", "supervise"), ("guard", "guard"), ("keeper", "keeper.py")):
                if any(word == sign or word.endswith(f"/{sign}") for word in words):
                    found[name] = int(process.name)
    if set(found) != {"supervisor", "guard", "keeper"}:
        raise SystemExit(f"not all of the agent was found: {found}")
    return found


def _start(program: str, attempt: str, environment: dict[str, str]) -> None:
    asked = subprocess.run(
        [program, "start", RUN_ID, attempt], env=environment, capture_output=True, text=True, check=False
    )
    if attempt == "2" and asked.returncode:
        raise SystemExit(asked.stderr)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6


def _until(reached: Any) -> None:
    limit = time.monotonic() + 60
    while not reached():
        if time.monotonic() > limit:
            raise SystemExit("what was waited for did not come in a minute")
        time.sleep(0.1)


def _end(root: Path) -> None:
    """End all that was started on this machine of ours: each has its root in its environment."""
    marker = f"RUNCTL_ROOT={root}\0".encode()
    for _ in range(2):  # one may start another meanwhile
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if marker in (process / "environ").read_bytes() + b"\0":
                    os.kill(int(process.name), signal.SIGKILL)


def main() -> int:
    """Measure; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    figures, reached = measure(options.seconds)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "agent.json").write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
