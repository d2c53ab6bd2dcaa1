"""A shell on a machine of the local target."""

import json
import os
import subprocess
import sys

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_shell_is_among_the_machines_processes_and_in_the_project(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "1000", "0.2")
    cloud.wait_for_event(run_id, "training_started")

    done = subprocess.run(
        [sys.executable, "-m", "runctl_cli", "shell", run_id],
        cwd=cloud.root,
        input='ls; python3 -c "import json, os; print(json.dumps(dict(os.environ)))"; exit 5\n',
        env={**os.environ, "SECRET_OF_THE_HOST": "x", "HISTFILE": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    cloud.runctl("cancel", run_id, "--now")

    machine = cloud.status(run_id)["attempts"][0]["instance_id"]
    lines = done.stdout.splitlines()
    variables = json.loads(next(line for line in lines if line.startswith("{")))
    assert done.returncode == 5
    assert "count.py" in lines
    assert machine in variables["RUNCTL_ROOT"]
    assert "SECRET_OF_THE_HOST" not in variables
    assert f"A shell on {machine}" in done.stderr
