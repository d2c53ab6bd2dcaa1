"""Many runs at a time on a local cloud, two in three of them struck by a fault, and a look at what is left of them."""

import random
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from runctl.client.spec import RunSpec
from runctl.local.cloud import LocalCloud
from runctl.model.attempt import Attempt
from runctl.model.run import PurchaseOption, Run
from runctl.model.status import RunStatus
from tests.local.chaos.faults import Fault, draw, strike, wrong
from tests.local.runs.cloud import Cloud

LIMIT_S: Final = 900.0
"""For one run. Without a machine's word its end is found by a missed heartbeat."""

HEARTBEAT_TIMEOUT_S: Final = 30
SETTLED_WITHIN_S: Final = 60.0
_LOOK_S: Final = 0.5

SCRIPT: Final = """\
# Counts to ten; each step is a checkpoint; resumes; saves and leaves when it is asked to; `fail` lets it fail half-way.
import os, pathlib, signal, sys, time
directory = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"])
resume = os.environ.get("RUNCTL_RESUME_FROM")
step = int(pathlib.Path(resume).read_text()) if resume else 0
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(True))
print("starting at", step, flush=True)
while step < 10 and not leaving:
    time.sleep(0.4)
    step += 1
    part = directory / f"step-{step}.txt.tmp"
    part.write_text(str(step))
    part.rename(directory / f"step-{step}.txt")
    if step == 5 and "fail" in sys.argv:
        sys.exit(3)
sys.exit(75 if leaving else 0)
"""


@dataclass
class Outcome:
    """What became of many runs."""

    runs: int = 0
    struck: int = 0
    seconds: float = 0.0
    ended: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    lost: list[str] = field(default_factory=list[str])
    machines_left: list[str] = field(default_factory=list[str])
    processes_left: list[str] = field(default_factory=list[str])

    @property
    def is_clean(self) -> bool:
        """Whether nothing was left, lost or told wrongly."""
        return not (self.wrong or self.lost or self.machines_left or self.processes_left)


class LocalChaos:
    """A local cloud with one project, for as long as it is open."""

    def __init__(self, root: Path) -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        (root / "train.py").write_text(SCRIPT)
        self._local = LocalCloud(root / ".runctl" / "local")
        self._root = root

    def run(self, runs: int, at_a_time: int, seed: int) -> Outcome:
        """Let so many runs happen; what strikes them depends on the seed, when it does on this machine too."""
        outcome = Outcome(runs=runs)
        self._local.up(boot_delay_s=0.2, say=lambda _: None)
        began = time.monotonic()
        try:
            cloud = Cloud(self._root, self._local)
            with ThreadPoolExecutor(at_a_time) as pool:
                plans = [random.Random(f"{seed}-{number}") for number in range(runs)]
                for fault, run in pool.map(lambda chance: self._one(cloud, chance), plans):
                    self._judge(cloud, fault, run, outcome)
            outcome.seconds = round(time.monotonic() - began, 1)
            outcome.machines_left = self._machines_left(cloud)
            outcome.processes_left = self._processes_left()
        finally:
            self._local.down(say=lambda _: None)
        return outcome

    def _one(self, cloud: Cloud, chance: random.Random) -> tuple[Fault, Run]:
        fault = draw(chance)
        strikes_after_s = chance.uniform(0.0, 7.0)
        spec = RunSpec(
            script="train.py",
            args=fault.arguments,
            instance_types=("t3.micro", "t3.small"),
            purchase_option=PurchaseOption.SPOT,
            project_dir=self._root,
            heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S,
            heartbeat_interval_s=2,
            ready_timeout_s=HEARTBEAT_TIMEOUT_S * 2,
            save_limit_s=10,
        )
        run = cloud.api.train(spec).run
        attempt = self._until_launched(cloud, run)
        if attempt is not None:
            time.sleep(strikes_after_s)
            strike(fault, cloud, run, attempt)
        return fault, self._until_ended(cloud, run)

    def _until_launched(self, cloud: Cloud, run: Run) -> Any:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            attempts = cloud.api.attempts(run.run_id)
            if attempts and attempts[0].instance_id is not None:
                return attempts[0]
            time.sleep(0.1)
        return None

    def _until_ended(self, cloud: Cloud, run: Run) -> Run:
        deadline = time.monotonic() + LIMIT_S
        while not run.status.is_terminal and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            run = cloud.api.run(run.run_id)
        return run

    def _judge(self, cloud: Cloud, fault: Fault, run: Run, outcome: Outcome) -> None:
        outcome.struck += fault.name != "none"
        outcome.faults[fault.name] += 1
        attempts = cloud.api.attempts(run.run_id)
        if not run.status.is_terminal:
            outcome.wrong.append(f"{run.run_id} ({fault.name}) has not ended: {run.status}, {run.message}")
            return
        outcome.ended[f"{run.status} {run.reason}"] += 1
        found = wrong(fault, run, attempts)
        outcome.wrong += found
        if found:
            outcome.wrong += [f"{run.run_id}: SSM: {said}" for said in self._commands_said(cloud, attempts)]
        outcome.lost += self._lost(cloud, run)

    def _commands_said(self, cloud: Cloud, attempts: tuple[Attempt, ...]) -> list[str]:
        """What the start commands of attempts printed, for whoever looks for the cause."""
        said: list[str] = []
        for attempt in attempts:
            if attempt.command_id is not None:
                listed = cloud.client("ssm").list_command_invocations(CommandId=attempt.command_id, Details=True)
                said += [
                    f"attempt {attempt.number}: {plugin['Status']}: {plugin.get('Output', '')[-400:]!r}"
                    for invocation in listed["CommandInvocations"]
                    for plugin in invocation["CommandPlugins"]
                    if plugin["Status"] != "Success"
                ]
        return said

    def _lost(self, cloud: Cloud, run: Run) -> list[str]:
        """Tell which checkpoints were saved and not gone on from, or are not there at the end."""
        saved: dict[int, int] = {}
        for manifest in cloud.api.checkpoints(run.run_id):
            saved[manifest.attempt] = max(saved.get(manifest.attempt, 0), manifest.step or 0)
        found: list[str] = []
        newest = 0
        for attempt in cloud.api.attempts(run.run_id):
            began = attempt.resumed_from_step
            if attempt.number in saved and newest and (began or 0) < newest:
                found.append(f"{run.run_id}: attempt {attempt.number} began at {began}, {newest} had been saved")
            newest = max(newest, saved.get(attempt.number, 0))
        if run.status is RunStatus.SUCCEEDED and newest < 10:
            found.append(f"{run.run_id} succeeded, and its newest checkpoint is {newest}")
        if run.checkpoint is not None and (run.checkpoint.step or 0) > newest:
            found.append(f"{run.run_id}: the checkpoint of step {run.checkpoint.step} is told of and not there")
        return found

    def _machines_left(self, cloud: Cloud) -> list[str]:
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while True:
            left = [each["InstanceId"] for each in _instances(cloud)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(_LOOK_S)

    def _processes_left(self) -> list[str]:
        """Tell what still runs below the machines' folder."""
        folder = str(self._root / ".runctl" / "local" / "machines")
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while True:
            left = [line for line in _command_lines() if folder in line]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(_LOOK_S)


def _instances(cloud: Cloud) -> list[dict[str, Any]]:
    states = ["pending", "running", "stopping", "stopped"]
    pages = (
        cloud.client("ec2")
        .get_paginator("describe_instances")
        .paginate(Filters=[{"Name": "instance-state-name", "Values": states}])
    )
    return [each for page in pages for group in page["Reservations"] for each in group["Instances"]]


def _command_lines() -> list[str]:
    found: list[str] = []
    for process in psutil.process_iter(["cmdline"]):
        found.append(" ".join(process.info["cmdline"] or ()))
    return found
