"""The checklist's commands, word for word, on the local target."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.local.runs.cloud import Cloud, Command

pytestmark = pytest.mark.local_cloud

TRAINING = Path(__file__).parents[3] / "training"
SCRIPT = "training/train_mnist_e2e.py"


@pytest.fixture(scope="module")
def own(cloud: Cloud) -> Iterator[Callable[..., Command]]:
    """A project of its own in the cloud's folder, as `runctl init` leaves it; answers what runs a line in it."""
    folder = cloud.root / "checklist"
    (folder / "training").mkdir(parents=True)
    shutil.copy(TRAINING / "train_mnist_e2e.py", folder / "training")

    def run(line: str, **words: str) -> Command:
        for name, value in words.items():
            line = re.sub(rf"\b{name}\b", value, line)
        program, *arguments = shlex.split(line)
        assert program == "runctl"
        done = subprocess.run(
            [sys.executable, "-m", "runctl_cli", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Command(done.returncode, done.stdout, done.stderr)

    first = run("runctl init")
    assert first.exit_code == 0, first
    # The cloud of the tests is another folder's; a person's own lies in .runctl/local of the project.
    (folder / ".runctl").mkdir()
    (folder / ".runctl" / "local").symlink_to(cloud.root / ".runctl" / "local")
    yield run
    run("runctl resources stop-all --yes")


@pytest.fixture(scope="module")
def machine(own: Callable[..., Command]) -> Iterator[str]:
    """The machine that the checklist creates first."""
    created = own("runctl aws create t3.micro --wait")
    assert created.exit_code == 0, created
    assert "Created on-demand instance: i-" in created.stderr
    assert "Instance ready and SSM connected" in created.stderr
    instance = created.stdout.strip()
    yield instance
    own(f"runctl aws terminate {instance} --yes")


def test_spot_machine_is_created_and_named(own: Callable[..., Command]) -> None:
    created = own("runctl aws create t3.micro --spot --wait")

    assert created.exit_code == 0, created
    assert re.search(r"Created spot instance: i-[0-9a-f]{17}\n", created.stderr)
    own("runctl aws terminate INSTANCE --yes", INSTANCE=created.stdout.strip())


def test_machine_is_created_with_the_profile_of_the_stack(own: Callable[..., Command]) -> None:
    created = own("runctl aws create t3.micro --iam-instance-profile runctl-ssm-profile --wait")

    assert created.exit_code == 0, created
    own("runctl aws terminate INSTANCE --yes", INSTANCE=created.stdout.strip())


def test_machine_is_waited_for(own: Callable[..., Command], machine: str) -> None:
    runs = own("runctl aws wait INSTANCE", INSTANCE=machine)
    answers = own("runctl aws wait-ssm INSTANCE", INSTANCE=machine)

    assert (runs.exit_code, answers.exit_code) == (0, 0)
    assert "Instance ready and SSM connected" in answers.stdout


def test_machine_trains_twice_and_is_monitored(own: Callable[..., Command], machine: str) -> None:
    started = own(f'runctl aws train INSTANCE {SCRIPT} --sync-code --script-args "--epochs 3"', INSTANCE=machine)
    monitored = own("runctl aws monitor INSTANCE", INSTANCE=machine)
    again = own(f"runctl aws train INSTANCE {SCRIPT} --sync-code --wait -- --epochs 1", INSTANCE=machine)

    assert (started.exit_code, monitored.exit_code, again.exit_code) == (0, 0, 0), (started, monitored, again)
    assert "Code sync verified: script and directories found" in monitored.stdout
    assert re.search(r"^saved  \S+$", monitored.stdout, re.MULTILINE)
    assert "SUCCEEDED" in again.stdout


def test_machines_are_listed_with_what_they_cost(own: Callable[..., Command], machine: str) -> None:
    listed, costs = own("runctl resources list"), own("runctl resources cost")

    assert machine in listed.stdout
    assert all(head in listed.stdout for head in ("STATE", "TYPE", "UP", "$/H", "PUBLIC", "PRIVATE"))
    assert machine in costs.stdout
    assert "COST" in costs.stdout


def test_workflow_trains_from_the_estimate_to_the_machines_end(own: Callable[..., Command], cloud: Cloud) -> None:
    done = own(f"runctl workflow train {SCRIPT} --instance-type t3.micro --spot -- --epochs 3")

    run_id = done.stdout.split()[0]
    assert done.exit_code == 0, done
    assert "SUCCEEDED" in done.stdout
    assert "at most" in done.stderr
    attempts = cast("list[dict[str, Any]]", cloud.status(run_id)["attempts"])
    machines = {each["instance_id"] for each in attempts}
    cloud.wait_until(lambda: not machines & set(cloud.live_machines()), "the machines' end")


def test_workflow_goes_on_from_what_an_ended_run_saved(own: Callable[..., Command], cloud: Cloud) -> None:
    started = own(f"runctl workflow train {SCRIPT} --instance-type t3.micro --detach -- --epochs 100000")
    run_id = started.stdout.strip()
    cloud.wait_for_event(run_id, "checkpoint_saved")
    own("runctl cancel RUN", RUN=run_id)
    cloud.wait_for_end(run_id)

    resumed = own("runctl workflow resume RUN", RUN=run_id)

    new = resumed.stdout.strip()
    assert resumed.exit_code == 0, resumed
    assert cloud.status(new)["resumed_from"]["run_id"] == run_id
    own(f"runctl cancel {new} --now")


def test_cleanup_is_a_dry_run_and_finds_all_in_order(own: Callable[..., Command]) -> None:
    looked = own("runctl workflow cleanup")

    assert looked.exit_code == 0, looked
    assert "was ended" not in looked.stdout
