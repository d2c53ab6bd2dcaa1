"""A training script as a subprocess: started, watched, interrupted, resumed, as a machine's agent would do it."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TRAINING = Path(__file__).parents[2] / "training"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Ending:
    """How a script ended, and what it printed."""

    exit_code: int
    stdout: str
    stderr: str


class Script:
    """One script with folders of its own."""

    def __init__(self, name: str, folder: Path, *arguments: str, python: str = sys.executable) -> None:
        self.python = python
        self.path = TRAINING / name
        self.arguments = arguments
        self.checkpoints = folder / "checkpoints"
        self.outputs = folder / "outputs"
        self.metrics = folder / "metrics.jsonl"
        self.working_folder = folder / "work"
        for made in (self.checkpoints, self.outputs, self.working_folder):
            made.mkdir(parents=True)

    def start(
        self,
        *more: str,
        resume_from: Path | None = None,
        file_size_limit: int | None = None,
        by_hand: bool = False,
    ) -> subprocess.Popen[str]:
        """Start it with the environment that a machine gives, or as a person would in a terminal (`by_hand`).

        `file_size_limit` (bytes) plays a disk that fills up.
        """
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RUNCTL_")}
        if not by_hand:
            environment |= {
                "RUNCTL_CHECKPOINT_DIR": str(self.checkpoints),
                "RUNCTL_OUTPUT_DIR": str(self.outputs),
                "RUNCTL_METRICS_FILE": str(self.metrics),
            }
        if resume_from is not None:
            environment["RUNCTL_RESUME_FROM"] = str(resume_from)
        command = [self.python, str(self.path), *self.arguments, *more]
        if file_size_limit is not None:
            # `ulimit -f` counts in blocks of 512 bytes (POSIX); Python ignores SIGXFSZ and sees an OSError.
            command = ["/bin/sh", "-c", f'ulimit -f {file_size_limit // 512}; exec "$0" "$@"', *command]
        return subprocess.Popen(
            command,
            cwd=self.working_folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *more: str, resume_from: Path | None = None, file_size_limit: int | None = None) -> Ending:
        """Run it to its end."""
        return end(self.start(*more, resume_from=resume_from, file_size_limit=file_size_limit))

    def run_and_interrupt(self, *more: str, after_checkpoints: int = 2, resume_from: Path | None = None) -> Ending:
        """Run it, send SIGTERM when that many checkpoints are there, and wait for its end."""
        process = self.start(*more, resume_from=resume_from)
        self.wait_for_checkpoints(process, after_checkpoints)
        process.send_signal(signal.SIGTERM)
        return end(process)

    def wait_for_checkpoints(self, process: subprocess.Popen[str], count: int) -> None:
        """Wait until that many checkpoints are there; fails when the script ends before."""
        deadline = time.monotonic() + TIMEOUT_S
        while len(self.whole_checkpoints()) < count:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{count} checkpoints were not seen: {end(process)}")
            time.sleep(0.005)

    def whole_checkpoints(self) -> list[Path]:
        """What an agent would take for checkpoints, oldest first."""
        return sorted(path for path in self.checkpoints.iterdir() if path.suffix != ".tmp")


def end(process: subprocess.Popen[str]) -> Ending:
    """Wait for a script's end."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
    return Ending(process.returncode, stdout, stderr)
