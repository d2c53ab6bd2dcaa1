"""Measure what the agent takes of a machine: `python -m benchmarks.agent [--seconds N]`, or `make bench-agent`.

The agent of the assembly runs as on a machine, beside a training that prints 100 lines a second, against an AWS on the
loopback that agrees to everything: its memory, its share of a core, how long its start takes. Then a checkpoint of two
gibibytes is uploaded: its memory, and how fast that goes. CPU time is worth comparing anywhere, wall-clock time on a
quiet machine only.
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
from tests.agent.factories import INSTANCE_ID, RUN_ID, agent_job, project

MEMORY_LIMIT_MIB: Final = 80.0
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


def beside_a_training(seconds: float) -> tuple[dict[str, Any], bool]:
    """Start an attempt, let it train, and look at the supervisor."""
    with machine() as (root, aws, environment):
        program = str(root / "agent" / "current" / "bin" / "runctl-agent")
        starts: list[float] = []
        for attempt in ("98", "99"):  # of attempts that have no job: Python's caches are warm for the third
            _start(program, attempt, environment)
        began = time.monotonic()
        _start(program, "2", environment)
        starts.append(time.monotonic() - began)
        attempt = root / "runs" / RUN_ID / "attempt-2"
        pid = int(json.loads((attempt / "supervisor.json").read_text())["pid"])
        try:
            start_cpu_s = _cpu_s(pid)
            _until(lambda: any(log.stat().st_size > 10_000 for log in attempt.glob("training-*.log")))
            cpu_s, before = _cpu_s(pid), time.monotonic()
            time.sleep(seconds)
            cpu_s, elapsed = _cpu_s(pid) - cpu_s, time.monotonic() - before
            lines = sum(log.read_bytes().count(b"\n") for log in attempt.glob("training-*.log"))
            status = Path(f"/proc/{pid}/status").read_text()
        finally:
            _end(root)
        resident = {name: _mib(status, name) for name in ("VmRSS", "VmHWM")}
    percent = 100 * cpu_s / elapsed
    now, peak = resident["VmRSS"], resident["VmHWM"]
    print(f"start command                {starts[0]:7.2f} s    (at most {START_LIMIT_S:.0f}; CPU {start_cpu_s:.2f} s)")
    print(f"resident now, at most        {now:7.1f}, {peak:.1f} MiB   (at most {MEMORY_LIMIT_MIB:.0f})")
    print(
        f"of one core, over {elapsed:5.0f} s     {percent:7.2f} %    (at most {CORE_LIMIT_PERCENT:.0f}; {lines} lines)"
    )
    figures = {
        "start_s": starts[0],
        "start_cpu_s": start_cpu_s,
        "resident_mib": resident["VmRSS"],
        "peak_mib": resident["VmHWM"],
        "core_percent": percent,
        "seconds": elapsed,
        "lines": lines,
        "calls": dict(aws.calls),
    }
    reached = percent <= CORE_LIMIT_PERCENT and resident["VmHWM"] <= MEMORY_LIMIT_MIB and starts[0] <= START_LIMIT_S
    return figures, reached


def large_checkpoint() -> dict[str, Any]:
    """Upload a checkpoint of holes in four shards."""
    with tempfile.TemporaryDirectory() as name, aws_sink() as aws:
        shards = Path(name) / "checkpoints" / "step-1"
        shards.mkdir(parents=True)
        for number in range(4):
            with (shards / f"shard-{number}").open("wb") as file:
                file.truncate(CHECKPOINT_MIB * 1024 * 1024 // 4)
                file.write(bytes([number]))
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        command = [sys.executable, "-m", "tests.agent.upload_alone", str(shards.parent)]
        found = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    took: dict[str, Any] = json.loads(found.stdout)
    speed = CHECKPOINT_MIB / took["seconds"]
    print(f"checkpoint of {CHECKPOINT_MIB} MiB       {took['peak_mib']:7.1f} MiB  (before {took['before_mib']:.1f})")
    print(f"to a store on the loopback   {speed:7.1f} MiB/s (CPU {took['cpu_s']:.1f} s)")
    return took


def _start(program: str, attempt: str, environment: dict[str, str]) -> None:
    asked = subprocess.run(
        [program, "start", RUN_ID, attempt], env=environment, capture_output=True, text=True, check=False
    )
    if attempt == "2" and asked.returncode:
        raise SystemExit(asked.stderr)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _mib(status: str, name: str) -> float:
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def _until(reached: Any) -> None:
    limit = time.monotonic() + 60
    while not reached():
        if time.monotonic() > limit:
            raise SystemExit("the training did not begin")
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
    figures, reached = beside_a_training(options.seconds)
    figures["checkpoint"] = large_checkpoint()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "agent.json").write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
