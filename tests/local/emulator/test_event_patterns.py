"""The stack's rules on the local cloud's bus fire for what moto's matcher says they match, and for nothing else.

Amazon EventBridge User Guide, "Amazon EventBridge event patterns". No rule of ours uses an operator such as `prefix`:
every pattern is a list of values.
"""

import json
import os
from typing import Any
from uuid import uuid4

import pytest

from stacks import build_assembly
from stacks.assembly.layout import ASSEMBLY
from tests.infrastructure.deployed_template import DeployedTemplate
from tests.infrastructure.test_rules import MATCHED, NEAR_MISSES, matching
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

EVENTS: list[Any] = [event for _, event in (*MATCHED, *NEAR_MISSES)]
LAST: Any = {"source": "the.last", "detail-type": "x", "detail": {}}
"""Put after all others, so that what they were to reach has been reached."""


def as_anybodys(source: str) -> str:
    """A source that PutEvents takes from us, in the place of a service's."""
    return source.replace("aws.", "service.", 1)


@pytest.fixture(scope="module")
def rules() -> dict[str, dict[str, Any]]:
    """The stack's rules by their CDK id."""
    os.environ.setdefault("CDK_VALIDATION", "false")
    build_assembly.main()
    template = DeployedTemplate(json.loads((ASSEMBLY / "template.json").read_bytes()))
    found = template.of_type("AWS::Events::Rule")
    return {logical_id.removeprefix("Rules"): rule for logical_id, rule in found.items()}


@pytest.fixture
def here(services: Services) -> Services:
    """The account with a queue of this test's own, which events may reach."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queue = services.sqs.create_queue(QueueName=f"patterns-{uuid4().hex[:8]}", Attributes={"Policy": policy})
    return Services(services.environment, services.functions, {"told": queue["QueueUrl"]}, services.outputs)


def put_rule(services: Services, bus: str, name: str, pattern: dict[str, Any]) -> None:
    """Make a rule that tells its name, and the case's number, to a queue."""
    queue = services.sqs.get_queue_attributes(QueueUrl=services.queue_urls["told"], AttributeNames=["QueueArn"])
    pattern = {**pattern, "source": [as_anybodys(source) for source in pattern["source"]]}
    services.events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    told = {
        "InputPathsMap": {"case": "$.detail.case"},
        "InputTemplate": json.dumps({"rule": name})[:-1] + ', "case": <case>}',
    }
    target = {"Id": "queue", "Arn": queue["Attributes"]["QueueArn"], "InputTransformer": told}
    services.events.put_targets(Rule=name, EventBusName=bus, Targets=[target])


def test_rules_fire_for_what_they_match_and_for_no_near_miss(here: Services, rules: dict[str, dict[str, Any]]) -> None:
    bus = f"patterns-{uuid4().hex[:8]}"
    here.events.create_event_bus(Name=bus)
    for name, rule in rules.items():
        put_rule(here, bus, name, rule["EventPattern"])
    put_rule(here, bus, "Last", {"source": [LAST["source"]]})
    expected = {(name, case) for case, event in enumerate(EVENTS) for name in matching(rules, event)}

    for case, event in enumerate([*EVENTS, LAST]):
        entry = {
            "EventBusName": bus,
            "Source": as_anybodys(event["source"]),
            "DetailType": event["detail-type"],
            "Detail": json.dumps({**event["detail"], "case": case}),
        }
        assert here.events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    told = [message["Body"] for message in here.messages("told", len(expected) + 1)]
    told += [message["Body"] for message in here.messages("told", 0)]

    assert len(expected) == len(MATCHED)
    assert {(each["rule"], each["case"]) for each in told} == expected | {("Last", len(EVENTS))}
