"""The interruption by FIS: what is asked of AWS, and that nothing of it stays. botocore checks the parameters' form."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from tests.aws_smoke.interruption import ROLE_NAME, FisInterruption, InterruptionFailed, experiment

ACCOUNT = "123456789012"
INSTANCE = "i-0123456789abcdef0"
INSTANCE_ARN = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{INSTANCE}"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE_NAME}"
TEMPLATE = {"clientToken": ANY, **experiment(INSTANCE_ARN, ROLE_ARN)}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto's account, for IAM."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


@pytest.fixture
def iam(account: None) -> Any:
    """IAM, by moto."""
    return boto3.client("iam", "us-east-1")


@pytest.fixture
def fis(account: None) -> Any:
    """FIS, whose answers a test gives."""
    return boto3.client("fis", "us-east-1")


class Clock:
    """Goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> float:
        return self.time


def interruption(fis: Any, iam: Any) -> FisInterruption:
    clock = Clock()
    return FisInterruption(fis, iam, account=ACCOUNT, region="us-east-1", sleep=clock.sleep, now=clock.now)


def roles(iam: Any) -> list[str]:
    return [role["RoleName"] for role in iam.list_roles()["Roles"]]


def state(status: str, reason: str = "") -> dict[str, Any]:
    return {"experiment": {"id": "EXP1", "state": {"status": status, "reason": reason}}}


def test_one_machine_is_interrupted_and_nothing_stays(fis: Any, iam: Any) -> None:
    with Stubber(fis) as answers:
        answers.add_response("create_experiment_template", {"experimentTemplate": {"id": "EXT1"}}, TEMPLATE)
        asked = {"clientToken": ANY, "experimentTemplateId": "EXT1"}
        answers.add_response("start_experiment", state("initiating"), asked)
        answers.add_response("get_experiment", state("running"), {"id": "EXP1"})
        answers.add_response("get_experiment", state("completed"), {"id": "EXP1"})
        answers.add_response("delete_experiment_template", {}, {"id": "EXT1"})

        interruption(fis, iam).interrupt(INSTANCE)

        answers.assert_no_pending_responses()
    assert roles(iam) == []


def test_a_role_that_is_not_known_yet_is_waited_for(fis: Any, iam: Any) -> None:
    with Stubber(fis) as answers:
        answers.add_client_error("create_experiment_template", "ValidationException", "cannot assume the role")
        answers.add_response("create_experiment_template", {"experimentTemplate": {"id": "EXT1"}}, TEMPLATE)
        answers.add_response("start_experiment", state("initiating"))
        answers.add_response("get_experiment", state("completed"))
        answers.add_response("delete_experiment_template", {})

        interruption(fis, iam).interrupt(INSTANCE)

        answers.assert_no_pending_responses()


def test_a_failed_experiment_is_told_and_nothing_stays(fis: Any, iam: Any) -> None:
    with Stubber(fis) as answers:
        answers.add_response("create_experiment_template", {"experimentTemplate": {"id": "EXT1"}}, TEMPLATE)
        answers.add_response("start_experiment", state("initiating"))
        answers.add_response("get_experiment", state("failed", "Target resolution returned empty set"))
        answers.add_response("delete_experiment_template", {}, {"id": "EXT1"})

        with pytest.raises(InterruptionFailed, match="empty set"):
            interruption(fis, iam).interrupt(INSTANCE)

        answers.assert_no_pending_responses()
    assert roles(iam) == []


def test_the_role_may_interrupt_this_machine_alone(fis: Any, iam: Any) -> None:
    seen: dict[str, Any] = {}

    def look(**_: Any) -> None:
        seen["rights"] = iam.get_role_policy(RoleName=ROLE_NAME, PolicyName="interrupt-one-machine")["PolicyDocument"]
        seen["trust"] = iam.get_role(RoleName=ROLE_NAME)["Role"]["AssumeRolePolicyDocument"]

    fis.meta.events.register("before-parameter-build.fis.CreateExperimentTemplate", look)
    with Stubber(fis) as answers:
        answers.add_client_error("create_experiment_template", "AccessDeniedException")
        with pytest.raises(Exception, match="AccessDenied"):
            interruption(fis, iam).interrupt(INSTANCE)

    writing = [entry for entry in seen["rights"]["Statement"] if entry["Action"] != "ec2:DescribeInstances"]
    assert [(entry["Action"], entry["Resource"]) for entry in writing] == [
        ("ec2:SendSpotInstanceInterruptions", INSTANCE_ARN)
    ]
    assert ACCOUNT in json.dumps(seen["trust"]["Statement"][0]["Condition"])
    assert roles(iam) == []
