"""Every rule against what AWS really sends: recorded samples match, near misses do not."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from runctl.model.agent_event import AgentEventKind
from runctl.model.machine import MachineState
from runctl.model.names import AGENT_EVENT_SOURCE
from runctl.model.service_events import CommandStatus
from tests.infrastructure.deployed_template import ACCOUNT, REGION, DeployedTemplate

SAMPLES = Path(__file__).parent / "events"
OUR_STATE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:runctl"

Event = dict[str, Any]


def sample(name: str, **detail: object) -> Event:
    """An event as AWS documents it; `detail` replaces fields, with underscores for hyphens."""
    event: Event = deepcopy(json.loads((SAMPLES / f"{name}.json").read_bytes())["event"])
    event["detail"].update({key.replace("_", "-"): value for key, value in detail.items()})
    return event


def ours(name: str, **detail: object) -> Event:
    """An event of an execution of our state machine."""
    event = sample(name)
    event["detail"].update({"stateMachineArn": OUR_STATE_MACHINE, **detail})
    return event


def agent_event(kind: str, source: str = AGENT_EVENT_SOURCE) -> Event:
    return {"source": source, "detail-type": kind, "detail": {"version": 1, "kind": kind}}


def started_command(status: str) -> Event:
    return sample("command_invocation_status_change", status=status, document_name="AWS-RunShellScript")


MATCHED = [
    ("MachineWarned", sample("spot_interruption_warning")),
    ("MachineWarned", sample("spot_interruption_warning", instance_action="stop")),
    ("MachineWarned", sample("rebalance_recommendation")),
    *(
        ("MachineGone", sample("instance_state_change", state=state))
        for state in ("stopping", "stopped", "shutting-down", "terminated")
    ),
    *(("CommandFailed", started_command(status.value)) for status in CommandStatus),
    ("ExecutionEnded", ours("execution_failed")),
    ("ExecutionEnded", ours("execution_timed_out")),
    ("ExecutionEnded", ours("execution_aborted")),
    *(("AgentReported", agent_event(kind.value)) for kind in AgentEventKind),
]

NEAR_MISSES = [
    ("a machine that begins", sample("instance_state_change")),
    ("a machine that runs", sample("instance_state_change", state="running")),
    ("another warning of EC2", sample("capacity_reservation_warning")),
    ("a command that went well", started_command("Success")),
    ("a command that still runs", started_command("InProgress")),
    ("a command of another document", sample("command_invocation_status_change", status="Failed")),
    (
        "a command as a whole, which names no machine",
        sample("command_status_change", status="Failed", document_name="AWS-RunShellScript"),
    ),
    ("an execution of another state machine", sample("execution_failed")),
    ("an execution that begins", ours("execution_started")),
    ("an execution that succeeded", ours("execution_succeeded")),
    ("an event of an agent of another source", agent_event("Training Ended", source="runctl.agents")),
    ("an event that no agent sends", agent_event("Training Paused")),
    ("a warning that only looks like EC2's", {**sample("spot_interruption_warning"), "source": "aws.ec2.fleet"}),
    (
        "an automation step",
        {**started_command("Failed"), "detail-type": "EC2 Automation Step Status-change Notification"},
    ),
]


@pytest.fixture
def rules(template: DeployedTemplate) -> dict[str, dict[str, Any]]:
    """All rules by their CDK id."""
    found = template.of_type("AWS::Events::Rule")
    return {logical_id.removeprefix("Rules"): rule for logical_id, rule in found.items()}


def matching(rules: dict[str, dict[str, Any]], event: Event) -> list[str]:
    """Which rules match, by moto's matcher of EventBridge patterns."""
    return [
        name
        for name, rule in rules.items()
        if EventPattern.load(json.dumps(rule["EventPattern"])).matches_event(event)  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(("rule", "event"), MATCHED)
def test_an_event_reaches_one_rule(rules: dict[str, dict[str, Any]], rule: str, event: Event) -> None:
    assert matching(rules, event) == [rule]


@pytest.mark.parametrize(("what", "event"), NEAR_MISSES, ids=[what for what, _ in NEAR_MISSES])
def test_a_near_miss_reaches_none(rules: dict[str, dict[str, Any]], what: str, event: Event) -> None:
    assert matching(rules, event) == []


def test_every_rule_is_tried(rules: dict[str, dict[str, Any]]) -> None:
    assert set(rules) == {rule for rule, _ in MATCHED}


def test_samples_name_where_they_come_from() -> None:
    origins = [json.loads(path.read_bytes())["sample_of"] for path in SAMPLES.glob("*.json")]

    assert len(origins) == 11
    assert all("Guide" in origin for origin in origins)


def test_machine_states_are_spelled_as_ec2_spells_them() -> None:
    assert {state.value for state in MachineState} == {
        "pending",
        "running",
        "stopping",
        "stopped",
        "shutting-down",
        "terminated",
    }


def test_only_agents_report_on_our_own_bus(rules: dict[str, dict[str, Any]]) -> None:
    buses = {name: rule.get("EventBusName") for name, rule in rules.items()}

    assert buses.pop("AgentReported") == "<Bus>"
    assert set(buses.values()) == {None}, "AWS's own events come on the default bus"


@pytest.mark.parametrize(
    ("rule", "function"),
    [
        ("MachineWarned", "ObserveMachine"),
        ("MachineGone", "ObserveMachine"),
        ("CommandFailed", "ObserveCommand"),
        ("ExecutionEnded", "ObserveExecution"),
        ("AgentReported", "ObserveAgent"),
    ],
)
def test_a_rule_calls_its_function_and_may(
    template: DeployedTemplate, rules: dict[str, dict[str, Any]], rule: str, function: str
) -> None:
    (target,) = rules[rule]["Targets"]
    permission = template.of_type("AWS::Lambda::Permission")[f"Rules{rule}Invokes"]

    assert target["Arn"] == f"<Functions{function}.Arn>"
    assert permission["FunctionName"] == target["Arn"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == f"<Rules{rule}.Arn>"


def test_what_a_rule_cannot_deliver_is_kept(template: DeployedTemplate, rules: dict[str, dict[str, Any]]) -> None:
    (policy,) = template.of_type("AWS::SQS::QueuePolicy").values()
    (accepted,) = [
        statement
        for statement in policy["PolicyDocument"]["Statement"]
        if statement.get("Principal") == {"Service": "events.amazonaws.com"}
    ]

    assert {rule["Targets"][0]["DeadLetterConfig"]["Arn"] for rule in rules.values()} == {"<DeadLettersQueue.Arn>"}
    assert accepted["Effect"] == "Allow"
    assert accepted["Action"] == "sqs:SendMessage"
    assert set(accepted["Condition"]["ArnEquals"]["aws:SourceArn"]) == {f"<Rules{name}.Arn>" for name in rules}
