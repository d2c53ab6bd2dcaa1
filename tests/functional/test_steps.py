"""Handlers of the state machine's steps: the event as Step Functions sends it, the table and the calls afterwards."""

import json
from typing import Any

import boto3
import pytest

from runctl.errors import CapacityUnavailable, ConfigurationError, PermissionDenied, RunEnded
from runctl.model import keys
from runctl.model.attempt import FactKind, Wait
from runctl.model.ids import AttemptNumber
from runctl.model.job import AgentJob
from runctl.model.names import Function, Tag
from runctl.model.status import Reason, RunStatus
from runctl.store.runs import RunsTable
from tests.factories import INSTANCE, RUN_ID, SECRET, make_attempt, make_run, with_facts
from tests.fakes.services import ROLE_ID
from tests.functional.calls import Calls
from tests.functional.conftest import BUCKET, Invoke

FIRST = AttemptNumber(1)
TOKEN = "AQDEAAAAKgAAAAMAAAAAAAAAAexample"
STATE = {"run_id": RUN_ID, "attempt": 1, "ready_timeout_s": 900, "heartbeat_timeout_s": 900, "train_timeout_s": 86_700}
ONLINE = {"InstanceInformationList": [{"InstanceId": INSTANCE, "PingStatus": "Online"}]}


def step(**more: Any) -> dict[str, Any]:
    """Make the event of a step; `more` is what earlier states added."""
    return {"state": {**STATE, **more}}


def waiting_step(**more: Any) -> dict[str, Any]:
    """Make the event of a step that waits for a token."""
    return {**step(**more), "task_token": TOKEN}


def admitted(table: RunsTable, **attempt_fields: Any) -> None:
    """Write an admitted run; the attempt has no machine unless a field says so."""
    table.create_run(make_run())
    begun = make_run(attempt=1, status=RunStatus.PROVISIONING)
    table.begin_attempt(begun, make_attempt(**attempt_fields))


def test_admit_run_begins_the_first_attempt(invoke: Invoke, table: RunsTable) -> None:
    table.create_run(make_run())

    answer = invoke(Function.ADMIT_RUN, step())

    run, attempt = table.run(RUN_ID), table.attempt(RUN_ID, FIRST)
    assert answer["run_id"] == RUN_ID
    assert run is not None
    assert run.status is RunStatus.PROVISIONING
    assert attempt is not None
    assert len(attempt.secret) == 64


def test_admit_run_lets_its_error_out_under_its_class_name(invoke: Invoke, table: RunsTable) -> None:
    table.create_run(make_run())
    table.save_run(make_run(status=RunStatus.FAILED, reason=Reason.USER_ERROR))

    with pytest.raises(RunEnded):
        invoke(Function.ADMIT_RUN, step())


@pytest.mark.usefixtures("network", "schedule_group")
def test_launch_machine_starts_a_tagged_machine_of_the_run(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    admitted(table, instance_id=None, instance_type=None, availability_zone=None, purchase_option=None)

    answer = invoke(Function.LAUNCH_MACHINE, step())

    attempt = table.attempt(RUN_ID, FIRST)
    assert attempt is not None
    assert attempt.instance_id == answer["instance_id"]
    assert attempt.launch is not None
    (request,) = calls.of("CreateFleet")
    assert request == attempt.launch.request
    assert request["ClientToken"] == attempt.launch.client_token
    ec2 = boto3.client("ec2", region_name="us-east-1")
    (reservation,) = ec2.describe_instances(InstanceIds=[answer["instance_id"]])["Reservations"]
    tags = {tag["Key"]: tag["Value"] for tag in reservation["Instances"][0]["Tags"]}
    assert (tags[Tag.RUN.value], tags[Tag.ATTEMPT.value]) == (RUN_ID, "1")


@pytest.mark.usefixtures("network")
def test_launch_machine_raises_what_ec2_refused_with(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    admitted(table, instance_id=None)
    refusal = {"ErrorCode": "InsufficientInstanceCapacity", "ErrorMessage": "none left", "Lifecycle": "spot"}
    calls.answer("CreateFleet", {"FleetId": "fleet-1", "Instances": [], "Errors": [refusal]})

    with pytest.raises(CapacityUnavailable):
        invoke(Function.LAUNCH_MACHINE, step())

    attempt = table.attempt(RUN_ID, FIRST)
    assert attempt is not None
    assert attempt.launch is not None
    assert attempt.launch.answered_at is not None
    assert attempt.launch.errors[0]["code"] == "InsufficientInstanceCapacity"


@pytest.mark.usefixtures("network")
def test_launch_machine_does_not_take_a_refusal_for_want_of_capacity(
    invoke: Invoke, table: RunsTable, calls: Calls
) -> None:
    admitted(table, instance_id=None)
    calls.refuse("CreateFleet", "UnauthorizedOperation")

    with pytest.raises(PermissionDenied):
        invoke(Function.LAUNCH_MACHINE, step())


def test_await_ready_keeps_the_token_and_says_nothing_of_it(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    admitted(table)
    calls.answer("DescribeInstanceInformation", {"InstanceInformationList": []})

    answer = invoke(Function.AWAIT_READY, waiting_step())

    attempt, run = table.attempt(RUN_ID, FIRST), table.run(RUN_ID)
    assert attempt is not None
    assert attempt.tokens == {Wait.READY: TOKEN}
    assert run is not None
    assert run.status is RunStatus.WAITING_FOR_SSM
    assert "waiting for SSM" in invoke.logged
    assert TOKEN not in json.dumps(answer) + invoke.logged
    assert SECRET not in invoke.logged


def test_await_ready_answers_its_token_when_the_machine_is_ready_already(
    invoke: Invoke, table: RunsTable, calls: Calls
) -> None:
    admitted(table, facts=with_facts(make_attempt(), FactKind.READY).facts)
    calls.answer("SendTaskSuccess", {})

    invoke(Function.AWAIT_READY, waiting_step())

    (call,) = calls.of("SendTaskSuccess")
    assert call["taskToken"] == TOKEN


def test_a_step_that_waits_refuses_to_run_without_a_token(invoke: Invoke, table: RunsTable) -> None:
    admitted(table)

    with pytest.raises(ConfigurationError):
        invoke(Function.AWAIT_READY, step())


@pytest.mark.usefixtures("bucket")
def test_start_training_hands_the_run_over_and_logs_no_secret(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    admitted(table, facts=with_facts(make_attempt(), FactKind.READY).facts)
    calls.answer("SendCommand", {"Command": {"CommandId": "command-1"}})

    invoke(Function.START_TRAINING, waiting_step())

    s3 = boto3.client("s3", region_name="us-east-1")
    body = s3.get_object(Bucket=BUCKET, Key=keys.handoff_key(ROLE_ID, INSTANCE))["Body"].read()
    job = AgentJob.model_validate_json(body)
    attempt = table.attempt(RUN_ID, FIRST)
    (command,) = calls.of("SendCommand")
    assert (job.task_token, job.secret) == (TOKEN, SECRET)
    assert attempt is not None
    assert attempt.command_id == "command-1"
    assert attempt.tokens[Wait.TRAIN] == TOKEN
    assert "training handed over" in invoke.logged
    assert TOKEN not in json.dumps(command) + invoke.logged
    assert SECRET not in json.dumps(command) + invoke.logged


def test_log_lines_carry_function_run_and_attempt(invoke: Invoke, table: RunsTable) -> None:
    table.create_run(make_run())

    invoke(Function.ADMIT_RUN, step())

    (line,) = map(json.loads, invoke.logged.splitlines())
    assert (line["service"], line["run_id"], line["attempt"]) == ("admit_run", RUN_ID, 1)


@pytest.mark.usefixtures("bucket", "topic")
def test_conclude_run_ends_the_run_once_and_tells_people_once(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    admitted(table, facts=with_facts(make_attempt(), FactKind.READY, FactKind.STARTED).facts)
    event = step(training={"exit_code": 0})

    first = invoke(Function.CONCLUDE_RUN, event)
    second = invoke(Function.CONCLUDE_RUN, event)

    run = table.run(RUN_ID)
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert first == second
    assert first["status"] == "SUCCEEDED"
    assert len(calls.of("Publish")) == 1
    assert list(table.open_runs()) == []


@pytest.mark.usefixtures("bucket")
def test_decide_next_answers_a_decision(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    admitted(table, facts=with_facts(make_attempt(), FactKind.READY, FactKind.WARNED, FactKind.GONE).facts)
    calls.answer("DescribeInstanceInformation", {"InstanceInformationList": []})

    answer = invoke(Function.DECIDE_NEXT, step(error={"Error": "SpotInterruption", "Cause": "EC2 took it back."}))

    attempt = table.attempt(RUN_ID, FIRST)
    assert answer["action"] == "launch"
    assert answer["attempt"] == 2
    assert attempt is not None
    assert attempt.reason is Reason.SPOT_INTERRUPTION
