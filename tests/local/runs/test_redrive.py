"""What could not be delivered, or what a function failed on, is sent again when the cause is mended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runctl.model.names import STACK_NAME, Function
from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

OBSERVE_AGENT = f"{STACK_NAME}-{Function.OBSERVE_AGENT.value}"


@pytest.fixture(scope="module")
def machine(cloud: Cloud) -> Iterator[str]:
    """A machine that stays when its training has ended: nothing but the agent's own word tells that it has."""
    created = cloud.runctl("aws", "create", "t3.micro", "--wait")
    assert created.exit_code == 0, created
    yield created.data["instance_id"]
    cloud.runctl("aws", "terminate", created.data["instance_id"], "--yes")


@contextmanager
def that_fails(cloud: Cloud) -> Iterator[None]:
    """The function fails on every event, as one that was deployed with a mistake."""
    functions = cloud.client("lambda")
    handler = functions.get_function_configuration(FunctionName=OBSERVE_AGENT)["Handler"]
    functions.update_function_configuration(FunctionName=OBSERVE_AGENT, Handler="lambdas.observe_agent.nowhere.handler")
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=OBSERVE_AGENT, Handler=handler)


@contextmanager
def that_nobody_may_call(cloud: Cloud) -> Iterator[None]:
    """EventBridge has lost its permission for the function."""
    functions = cloud.client("lambda")
    statements = json.loads(functions.get_policy(FunctionName=OBSERVE_AGENT)["Policy"])["Statement"]
    for statement in statements:
        functions.remove_permission(FunctionName=OBSERVE_AGENT, StatementId=statement["Sid"])
    try:
        yield
    finally:
        for statement in statements:
            functions.add_permission(
                FunctionName=OBSERVE_AGENT,
                StatementId=statement["Sid"],
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
                SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
            )


def lying(cloud: Cloud, about: str) -> list[dict[str, Any]]:
    """What lies in the queue about something."""
    shown = cloud.runctl("admin", "redrive", "--dry-run")
    assert shown.exit_code == 0, shown
    return [letter for letter in shown.data["letters"] if about in letter["about"]]


@pytest.mark.parametrize(("trouble", "source"), [(that_fails, "function"), (that_nobody_may_call, "rule")])
def test_run_whose_end_was_not_heard_ends_well_when_it_is_sent_again(
    cloud: Cloud, machine: str, trouble: Any, source: str
) -> None:
    started = cloud.runctl("aws", "train", machine, "count.py", "--", "5", "1")
    run_id = started.data["run_id"]
    cloud.wait_for_event(run_id, "training_started")
    end = f"Training Ended {run_id}"
    with trouble(cloud):
        (letter,) = cloud.wait_until(lambda: lying(cloud, end) or None, "a dead letter", pause_s=1.0)
        unheard = cloud.status(run_id)["status"]

    first = cloud.runctl("admin", "redrive", "--yes")
    ended = cloud.wait_for_end(run_id)

    assert (letter["source"], letter["outcome"]) == (source, "ready")
    assert letter["target"].endswith(OBSERVE_AGENT)
    assert unheard == "RUNNING"
    assert end in {each["about"] for each in first.data["letters"] if each["outcome"] == "sent"}
    assert (ended["status"], ended["reason"]) == ("SUCCEEDED", "COMPLETED"), cloud.story(run_id)
    assert cloud.runctl("admin", "redrive", "--dry-run").data["letters"] == []
