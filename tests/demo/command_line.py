"""Driving `runctl` as a person would, and reading its JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

TIMEOUT_S = 120.0


class CommandFailed(Exception):
    """A command of ours did not do what it was asked."""


class CommandLine:
    """`runctl` in one project folder, with nothing inherited that would lead it to another account or target."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.program = Path(sys.executable).with_name("runctl")
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RUNCTL_"))
        }

    def ask(self, *arguments: str) -> Any:
        """Run a command with `--output json`; answer its `data`. Raises CommandFailed with what it said."""
        done = subprocess.run(
            [str(self.program), "--output", "json", *arguments],
            cwd=self.project,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        try:
            document = cast("dict[str, Any]", json.loads(done.stdout))
        except ValueError as error:
            raise CommandFailed(f"runctl {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}") from error
        if document["data"] is None and not document["ok"]:
            told = "\n".join(f"{fault['message']} {fault['hint']}" for fault in document["errors"])
            raise CommandFailed(f"runctl {' '.join(arguments)}: exit code {done.returncode}\n{told}\n{done.stderr}")
        return document["data"]
