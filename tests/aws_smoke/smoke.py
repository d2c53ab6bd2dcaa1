"""Deploy, train on a spot machine that is taken away, look at what became of it, and remove everything."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from runctl.agent.supervisor import PYTHON_INSTALLED
from runctl.assembly import load_assembly
from runctl.client.client import Client
from runctl.model.ids import RunId
from runctl.model.names import STACK_NAME, Output, Tag
from tests.aws_smoke.places import CommandFailed, Place
from tests.demo.transitions import count_transitions
from tests.infrastructure.deployed_template import DeployedTemplate

INSTANCE_TYPE: Final = "t3.micro"
LARGEST_COST_USD: Final = 1.0
MOST_TRANSITIONS: Final = 40
"""Of a run with one interruption: 25 and 15 (docs/architecture.md counts them; nothing polls)."""

ALIVE: Final = ["pending", "running", "stopping", "shutting-down"]

TRAINING: Final = """\
# Counts; every step is a checkpoint; goes on from the newest; saves and leaves on SIGTERM.
import os, pathlib, signal, sys, time
steps, pause = int(sys.argv[1]), float(sys.argv[2])
directory = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"])
resume = os.environ.get("RUNCTL_RESUME_FROM")
step = int(pathlib.Path(resume).read_text()) if resume else 0
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(True))
print("starting at", step, flush=True)
while step < steps and not leaving:
    time.sleep(pause)
    step += 1
    part = directory / f"step-{step}.txt.tmp"
    part.write_text(str(step))
    part.rename(directory / f"step-{step}.txt")
if leaving:
    sys.exit(75)
print("finished at", step, flush=True)
"""


class Refused(Exception):
    """The smoke does not begin here; nothing was touched."""


class NotSeen(Exception):
    """What was waited for did not come."""


CONTAINER_IMAGE: Final = "public.ecr.aws/docker/library/python:3.13-slim"
"""Docker's official image in Amazon ECR Public, which asks nobody to log in."""


@dataclass(frozen=True)
class Claim:
    """One thing that must be so, and whether it is."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Outcome:
    """What became of the run."""

    run: dict[str, Any]
    kinds: frozenset[str]
    """Of the events of its timeline."""
    log: str
    execution: str
    """Status of the execution."""
    transitions: int
    machines_alive: int
    dead_letters: int
    steps: int


def claims(outcome: Outcome) -> tuple[Claim, ...]:
    """The same on AWS and on the local target."""
    run, attempts = outcome.run, outcome.run["attempts"]
    reasons = [attempt["reason"] for attempt in attempts]
    resumed_from = attempts[-1]["resumed_from_step"] if attempts else None
    cost = run["cost"]["accrued_usd"]
    return (
        Claim("the run succeeded", (run["status"], run["reason"]) == ("SUCCEEDED", "COMPLETED")),
        Claim("on the second of two attempts, the first interrupted", reasons == ["SPOT_INTERRUPTION", "COMPLETED"]),
        Claim("on two machines", len({attempt["instance_id"] for attempt in attempts}) == 2),
        Claim("all of them spot", {attempt["purchase_option"] for attempt in attempts} == {"spot"}),
        Claim("EC2's warning was seen", "interruption_warning" in outcome.kinds),
        Claim("the second went on from a checkpoint of the first", bool(resumed_from) and resumed_from < outcome.steps),
        Claim("and says so in its log", f"starting at {resumed_from}" in outcome.log),
        Claim("to the last step", f"finished at {outcome.steps}" in outcome.log),
        Claim("its execution succeeded", outcome.execution == "SUCCEEDED"),
        Claim(f"in at most {MOST_TRANSITIONS} transitions", 0 < outcome.transitions <= MOST_TRANSITIONS),
        Claim("no machine is left", outcome.machines_alive == 0),
        Claim("nothing lies in the dead-letter queue", outcome.dead_letters == 0),
        Claim(f"it cost less than {LARGEST_COST_USD:.0f} USD", cost is not None and 0 <= cost < LARGEST_COST_USD),
    )


def require_no_stack(place: Place) -> None:
    """Refuse an account in which runctl is deployed: the smoke ends with `destroy`. Raises Refused."""
    try:
        stacks = place.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return
        raise
    raise Refused(f"There is a stack {STACK_NAME} in {place.region} already ({stacks[0]['StackStatus']}).")


def validate_definition(place: Place) -> list[str]:
    """What Step Functions itself says of the state machine; it creates nothing (ValidateStateMachineDefinition)."""
    template = DeployedTemplate(json.loads(load_assembly().template_text), {})
    answer = place.client("stepfunctions").validate_state_machine_definition(
        definition=json.dumps(template.state_machine), type="STANDARD", severity="WARNING"
    )
    return [f"{found['severity']} {found['code']}: {found['message']}" for found in answer["diagnostics"]]


def deploy(place: Place) -> None:
    """Create the stack."""
    place.runctl("deploy", *place.options, "--yes")


def destroy(place: Place) -> str | None:
    """Remove the stack, the runs that were left, and what was trained. Answers the bucket for archives, which stays.

    It is empty and free of charge, and S3 would not give its name out again for an hour or two.
    """
    words = ("destroy", *place.options, "--force", "--empty-bucket", "--stack-name", STACK_NAME)
    left: str | None = place.runctl(*words)["asset_bucket"]
    return left


def train_and_interrupt(place: Place, *, steps: int, pause_s: float, say: Callable[[str], None]) -> Outcome:
    """One spot run whose machine is taken away once it has a checkpoint."""
    (place.project / "count.py").write_text(TRAINING)
    limits = ("--max-runtime", "40m", "--max-cost", "0.5")
    words = ("train", "count.py", "--instance-type", INSTANCE_TYPE, "--spot", *limits, "--yes")
    run_id = RunId(place.runctl(*words, "--", str(steps), str(pause_s))["run_id"])
    say(f"run {run_id}")
    api = place.connect()
    _wait(place, "a checkpoint", lambda: "checkpoint_saved" in _kinds(api, run_id))
    first = str(api.attempts(run_id)[0].instance_id)
    say(f"interrupting {first}")
    place.interrupt(first)
    run = _wait(place, "the end of the run", lambda: _ended(api, run_id))
    say(f"{run['status']} after {len(run['attempts'])} attempts")
    arn = run["execution_arn"]
    states = place.client("stepfunctions")
    _wait(place, "the end of the execution", lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
    _wait(place, "the end of the machines", lambda: _alive(place, run_id) == 0)
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    log = [entry["text"] for entry in place.runctl("logs", run_id)["lines"]]
    for line in log:
        if PYTHON_INSTALLED in line:
            say(line)
    return Outcome(
        run=run,
        kinds=frozenset(_kinds(api, run_id)),
        log="\n".join(log),
        execution=states.describe_execution(executionArn=arn)["status"],
        transitions=count_transitions(event["type"] for page in pages for event in page["events"]),
        machines_alive=_alive(place, run_id),
        dead_letters=_dead_letters(place),
        steps=steps,
    )


def train_in_container(place: Place, *, say: Callable[[str], None]) -> tuple[Claim, ...]:
    """One short run in a public image, on a machine that brings no docker of its own."""
    (place.project / "count.py").write_text(TRAINING)
    limits = ("--max-runtime", "20m", "--max-cost", "0.2", "--image", CONTAINER_IMAGE)
    words = ("train", "count.py", "--instance-type", INSTANCE_TYPE, "--spot", *limits, "--yes")
    run_id = RunId(place.runctl(*words, "--", "5", "1")["run_id"])
    say(f"run {run_id} in {CONTAINER_IMAGE}")
    api = place.connect()
    run = _wait(place, "the end of the run", lambda: _ended(api, run_id))
    log = "\n".join(entry["text"] for entry in place.runctl("logs", run_id)["lines"])
    return (
        Claim("a run in a container succeeded", run["status"] == "SUCCEEDED"),
        Claim("to its last step", "finished at 5" in log),
        Claim("and saved", "checkpoint_saved" in _kinds(api, run_id)),
    )


def _wait(place: Place, what: str, look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + place.patience_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise NotSeen(f"{what}: not seen in {place.patience_s:.0f} s")
        time.sleep(place.look_every_s)
    return found


def _ended(api: Client, run_id: RunId) -> dict[str, Any] | None:
    run = api.run(run_id)
    return api.document(run) if run.status.is_terminal else None


def _kinds(api: Client, run_id: RunId) -> set[str]:
    return {event.kind.value for event in api.events(run_id)}


def _alive(place: Place, run_id: RunId) -> int:
    filters = [
        {"Name": f"tag:{Tag.RUN.value}", "Values": [run_id]},
        {"Name": "instance-state-name", "Values": ALIVE},
    ]
    pages = place.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    return sum(len(reservation["Instances"]) for page in pages for reservation in page["Reservations"])


def _dead_letters(place: Place) -> int:
    cloudformation, sqs = place.client("cloudformation"), place.client("sqs")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
    queues = [
        found["PhysicalResourceId"]
        for page in pages
        for found in page["StackResourceSummaries"]
        if found["ResourceType"] == "AWS::SQS::Queue"
    ]
    if not queues:
        raise CommandFailed(f"The stack has no queue; its outputs are {[output.value for output in Output]}.")
    waiting = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    told = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(waiting))["Attributes"] for url in queues]
    return sum(int(attributes[name]) for attributes in told for name in waiting)
