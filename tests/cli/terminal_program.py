"""The command line over a deployment in memory, as a process of its own: what a terminal shows is tested with it."""

import sys
from pathlib import Path

from runctl.client.checks import Finding, Health
from runctl.model.ids import AttemptNumber
from runctl.model.run import CheckpointRef, Progress
from runctl.model.status import Reason, RunStatus
from runctl_cli.main import main
from tests.cli.command_line import MemoryWiring, NotedCloud
from tests.client.deployment import NOW, MemoryDeployment, a_run, an_attempt


def _wiring() -> MemoryWiring:
    deployment = MemoryDeployment()
    saved = CheckpointRef(
        name="epoch-3", step=300, manifest_key="key", bytes=1_000, saved_at=NOW, attempt=AttemptNumber(1)
    )
    failed = a_run(
        "r-1hx3k7paaaaa",
        name="größe-der-störche",
        status=RunStatus.FAILED,
        reason=Reason.USER_ERROR,
        ended_at=NOW,
        message="The training ended with exit code 1; its last line: „kein Platz“ → 漢字.",
        checkpoint=saved,
    )
    deployment.add(failed, an_attempt("r-1hx3k7paaaaa", ended_at=NOW, reason=Reason.USER_ERROR, exit_code=1))
    deployment.add(a_run(progress=Progress(at=NOW, step=40, total_steps=100)), an_attempt())
    wiring = MemoryWiring(deployment, NotedCloud(Path.cwd()))
    wiring.of_checks.given = [Finding(check="stack", health=Health.PROBLEM, text="None.", hint="runctl deploy")]
    return wiring


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _wiring()))
