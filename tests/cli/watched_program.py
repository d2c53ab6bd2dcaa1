"""`runctl watch` over a deployment in memory, as a process of its own: what a terminal shows is tested with it."""

import sys
import time
from pathlib import Path

from runctl.client.client import Client
from runctl.model.ids import RunId
from runctl.model.status import Reason, RunStatus
from runctl_cli.main import main
from runctl_cli.settings import Configuration
from tests.cli.command_line import MemoryWiring, NotedCloud
from tests.client.deployment import NOW, MemoryDeployment, a_run, an_attempt


class _Wiring(MemoryWiring):
    def client(self, configuration: Configuration) -> Client:
        del configuration
        return self.deployment.client(sleep=lambda _s: time.sleep(0.02))


def _deployment(*, ends: bool) -> MemoryDeployment:
    deployment = MemoryDeployment()
    run = deployment.add(a_run(message="It trains."), an_attempt())
    if ends:
        failed = a_run(
            status=RunStatus.FAILED, reason=Reason.USER_ERROR, ended_at=NOW, message="The training failed.", version=9
        )
        deployment.runs.script = [run] * 5 + [failed]
    assert run.run_id == RunId("r-1hx3k7pabcde")
    return deployment


if __name__ == "__main__":
    made = _deployment(ends=sys.argv[1] == "ends")
    sys.exit(main(["watch", "r-1hx3k7pabcde"], _Wiring(made, NotedCloud(Path.cwd()))))
