"""A local cloud for measurements: a project of its own, driven by the command line as a person would."""

import shutil
import time
from pathlib import Path
from typing import Any, Final, cast

from tests.demo.account import Account
from tests.demo.command_line import CommandFailed, CommandLine

REPOSITORY: Final = Path(__file__).parents[1]
PROJECT: Final = REPOSITORY / ".runctl" / "bench" / "project"
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "STOPPED"})

STAMP: Final = """\
# Prints the time at which it began, sleeps as long as it is told, and saves one checkpoint.
import os, pathlib, sys, time
print("began", time.time(), flush=True)
time.sleep(float(sys.argv[1]))
part = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"]) / "step-1.txt.tmp"
part.write_text("weights")
part.rename(part.with_suffix(""))
"""


class BenchCloud:
    """The cloud, and runs on it."""

    def __init__(self, project: Path = PROJECT) -> None:
        shutil.rmtree(project / "training", ignore_errors=True)
        shutil.copytree(REPOSITORY / "training", project / "training", ignore=shutil.ignore_patterns("__pycache__"))
        (project / "stamp.py").write_text(STAMP)
        (project / "training" / "stamp.py").write_text(STAMP)  # beside a requirements.txt
        self.runctl = CommandLine(project)
        if not (project / ".runctl.toml").exists():
            self.runctl.ask("init")

    def up(self) -> float:
        """Start the cloud; answer the seconds that took."""
        began = time.monotonic()
        self.runctl.ask("local", "up")
        return time.monotonic() - began

    def down(self) -> None:
        """End the cloud."""
        self.runctl.ask("local", "down")

    def account(self) -> Account:
        """Look into the cloud's account."""
        return Account(self.runctl.ask("local", "env"))

    def resident_mib(self) -> float:
        """Memory of the server, its functions and its machines together."""
        return float(self.runctl.ask("local", "status")["resident_mib"])

    def start(self, script: str, *arguments: str) -> str:
        """Start a run; answer its id."""
        return cast(
            "str", self.runctl.ask("train", script, "--instance-type", "t3.medium", "--yes", "--", *arguments)["run_id"]
        )

    def wait(self, run_id: str, limit_s: float = 180.0) -> dict[str, Any]:
        """Wait for the end of a run; answer its JSON. Raises CommandFailed when it does not succeed."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            run = cast("dict[str, Any]", self.runctl.ask("status", run_id))
            if run["status"] in ENDED:
                if run["status"] != "SUCCEEDED":
                    raise CommandFailed(f"{run_id} ended as {run['status']}, {run['reason']}")
                return run
            time.sleep(0.5)
        raise CommandFailed(f"{run_id} did not end in {limit_s:.0f} s")

    def log(self, run_id: str) -> list[str]:
        """The lines that the training printed."""
        return [entry["text"] for entry in self.runctl.ask("logs", run_id)["lines"]]
