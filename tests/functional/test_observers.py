"""Handlers of events, of the stop command and of schedules."""

import json
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from runctl.errors import NotFoundError
from runctl.model.agent_event import AgentEventKind
from runctl.model.attempt import FactKind, Wait
from runctl.model.base import iso
from runctl.model.ids import AttemptNumber, TaskToken
from runctl.model.names import Function, Metric
from runctl.model.status import RunStatus
from runctl.store.runs import RunsTable
from tests.factories import INSTANCE, RUN_ID, after, make_attempt, make_detail, make_end, make_run, with_facts
from tests.functional.calls import Calls
from tests.functional.conftest import Invoke

FIRST = AttemptNumber(1)
TOKEN = TaskToken("AQDEAAAAKgAAAAMAAAAAAAAAAexample")


def training(table: RunsTable) -> None:
    """Write a run whose training goes on, with the token of its state."""
    table.create_run(make_run())
    attempt = with_facts(make_attempt(command_id="command-1"), FactKind.READY, FactKind.STARTED)
    table.begin_attempt(make_run(attempt=1, status=RunStatus.RUNNING), attempt)
    table.store_token(RUN_ID, FIRST, Wait.TRAIN, TOKEN)


def of_ec2(kind: str, **detail: str) -> dict[str, Any]:
    """Make an event of EC2 as EventBridge delivers it."""
    return {
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "detail-type": kind,
        "source": "aws.ec2",
        "account": "123456789012",
        "time": iso(after(300)),
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1a:instance/{INSTANCE}"],
        "detail": {"instance-id": INSTANCE, **detail},
    }


def of_agent(detail: dict[str, Any]) -> dict[str, Any]:
    """Make an event of our bus as EventBridge delivers it."""
    return {"source": "runctl.agent", "detail-type": detail["kind"], "time": iso(after(300)), "detail": detail}


WARNING = of_ec2("EC2 Spot Instance Interruption Warning", **{"instance-action": "terminate"})


def test_a_warning_becomes_a_fact_once_lets_the_run_go_on_and_is_passed_on_to_the_machine(
    invoke: Invoke, table: RunsTable, calls: Calls
) -> None:
    training(table)
    calls.answer("SendCommand", {"Command": {"CommandId": "command-2"}})

    for _ in range(2):
        invoke(Function.OBSERVE_MACHINE, WARNING)

    attempt = table.attempt(RUN_ID, FIRST)
    assert attempt is not None
    assert attempt.is_draining
    assert len(calls.of("SendCommand")) == 1
    assert {call["error"] for call in calls.of("SendTaskFailure")} == {"SpotInterruption"}


def test_a_strangers_machine_costs_one_look_and_no_other_client(invoke: Invoke, calls: Calls) -> None:
    answer = invoke(Function.OBSERVE_MACHINE, WARNING)

    assert answer["outcome"] == "stranger"
    assert [operation for operation, _ in calls.made] == ["Query"]


def test_a_verified_end_answers_the_token(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    training(table)
    calls.answer("SendTaskSuccess", {})
    detail = make_detail(make_attempt(), AgentEventKind.TRAINING_ENDED, make_end(exit_code=0), at=after(600))

    invoke(Function.OBSERVE_AGENT, of_agent(detail))

    attempt = table.attempt(RUN_ID, FIRST)
    (call,) = calls.of("SendTaskSuccess")
    assert attempt is not None
    assert FactKind.ENDED in attempt.facts
    assert call["taskToken"] == TOKEN


def test_a_forged_end_changes_nothing_and_is_counted(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    training(table)
    before = table.attempt(RUN_ID, FIRST)
    detail = make_detail(
        make_attempt(), AgentEventKind.TRAINING_ENDED, make_end(exit_code=0), at=after(600), secret="00" * 32
    )

    answer = invoke(Function.OBSERVE_AGENT, of_agent(detail))

    (metric,) = calls.of("PutMetricData")
    assert answer["outcome"] == "unverified"
    assert table.attempt(RUN_ID, FIRST) == before
    assert metric["MetricData"][0]["MetricName"] == Metric.UNVERIFIED_EVENTS
    assert calls.of("SendTaskSuccess") == []


def test_a_failed_start_command_fails_the_token(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    table.create_run(make_run())
    attempt = with_facts(make_attempt(command_id="command-1"), FactKind.READY)
    table.begin_attempt(make_run(attempt=1, status=RunStatus.PREPARING), attempt)
    table.store_token(RUN_ID, FIRST, Wait.TRAIN, TOKEN)
    calls.answer("SendTaskFailure", {})
    event = {
        "source": "aws.ssm",
        "detail-type": "EC2 Command Invocation Status-change Notification",
        "time": iso(after(300)),
        "detail": {"command-id": "command-1", "instance-id": INSTANCE, "status": "Failed"},
    }

    invoke(Function.OBSERVE_COMMAND, event)

    (call,) = calls.of("SendTaskFailure")
    assert (call["taskToken"], call["error"]) == (TOKEN, "MachineNotReady")


def test_an_execution_stopped_from_outside_lets_the_run_save(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    training(table)
    calls.answer("SendCommand", {"Command": {"CommandId": "command-2"}})
    calls.answer("CreateSchedule", {"ScheduleArn": "arn:aws:scheduler:us-east-1:123456789012:schedule/g/n"})
    event = {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": iso(after(300)),
        "detail": {"name": RUN_ID, "status": "ABORTED"},
    }

    invoke(Function.OBSERVE_EXECUTION, event)

    run = table.run(RUN_ID)
    (schedule,) = calls.of("CreateSchedule")
    assert run is not None
    assert run.status is RunStatus.STOPPING
    assert run.execution_ended
    assert json.loads(schedule["Target"]["Input"])["run_id"] == RUN_ID
    assert len(calls.of("SendCommand")) == 1


@pytest.mark.usefixtures("schedule_group", "topic", "bucket")
def test_a_stop_command_is_answered_with_how_the_run_stands(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    training(table)
    calls.answer("SendCommand", {"Command": {"CommandId": "command-2"}})

    answer = invoke(Function.STOP_RUN, {"run_id": RUN_ID, "requested_by": "ada"})

    assert answer["status"] == "STOPPING"
    assert len(calls.of("CreateSchedule")) == 1


def test_a_stop_of_an_unknown_run_is_an_error(invoke: Invoke) -> None:
    with pytest.raises(NotFoundError):
        invoke(Function.STOP_RUN, {"run_id": RUN_ID})


def test_an_event_that_makes_no_sense_is_an_error_that_quotes_nothing(invoke: Invoke) -> None:
    with pytest.raises(ValidationError) as raised:
        invoke(Function.AWAIT_READY, {"state": {"run_id": ["AQDEsecret"]}, "task_token": "AQDEsecret"})

    assert "AQDEsecret" not in str(raised.value)


@pytest.mark.usefixtures("schedule_group", "topic", "bucket")
def test_costs_are_put_as_metrics(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    training(table)

    invoke(Function.WATCH_COSTS, {})

    (put,) = calls.of("PutMetricData")
    assert {datum["MetricName"] for datum in put["MetricData"]} >= {Metric.MONTH_USD, Metric.USD_PER_HOUR}


@pytest.mark.usefixtures("bucket")
def test_the_reaper_looks_through_machines_and_runs(invoke: Invoke, table: RunsTable, calls: Calls) -> None:
    training(table)
    calls.answer("DescribeExecution", {"status": "RUNNING"})

    invoke(Function.REAP_MACHINES, {})

    run = table.run(RUN_ID)
    assert run is not None
    assert run.status is RunStatus.RUNNING
    assert calls.of("PutMetricData") == []


def test_what_the_topic_tells_is_handed_on_for_a_webhook_that_is_not_there(
    invoke: Invoke, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    nobody = "http://127.0.0.1:9/hook"
    ssm = boto3.client("ssm", region_name="us-east-1")
    ssm.put_parameter(Name="/runctl/slack-webhooks/here/1", Value=nobody, Type="SecureString")
    calls.answer("Invoke", {"StatusCode": 202})
    event = {"Records": [{"EventSource": "aws:sns", "Sns": {"Subject": "digits FAILED", "Message": "boom"}}]}

    answer = invoke(Function.TELL_SLACK, event)

    (asked,) = calls.of("Invoke")
    assert answer == {"posted": 0, "handed_on": 1}
    assert (asked["FunctionName"], asked["InvocationType"]) == ("runctl-tell_slack", "Event")
    assert json.loads(asked["Payload"]) == {
        "webhook": "/runctl/slack-webhooks/here/1",
        "subject": "digits FAILED",
        "text": "boom",
    }
    assert nobody not in invoke.logged
