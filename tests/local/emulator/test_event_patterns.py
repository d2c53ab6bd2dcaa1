"""Rules on the local cloud's bus fire for what AWS says they match, and for nothing else.

The stack's own rules are compared with moto's matcher; each is a list of values. What operators do, of which no rule of
ours uses any, is as in the Amazon EventBridge User Guide: "Creating Amazon EventBridge event patterns", "Comparison
operators for use in event patterns in Amazon EventBridge", "Matching null values and empty strings in Amazon
EventBridge event patterns", "Arrays in Amazon EventBridge event patterns".
"""

import json
import os
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from stacks import build_assembly
from stacks.assembly.layout import ASSEMBLY
from tests.infrastructure.deployed_template import DeployedTemplate
from tests.infrastructure.test_rules import MATCHED, NEAR_MISSES, matching
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

EVENTS: list[Any] = [event for _, event in (*MATCHED, *NEAR_MISSES)]
LAST: Any = {"source": "the.last", "detail-type": "x", "detail": {}}
"""Put after all others, so that what they were to reach has been reached."""


class Case(NamedTuple):
    """A pattern for the detail, details that it takes, and details that are nearly so."""

    pattern: dict[str, Any]
    taken: list[dict[str, Any]]
    left: list[dict[str, Any]]


OPERATORS: list[Case] = [
    Case({"a": ["x", 5, True]}, [{"a": "x"}, {"a": 5}, {"a": True}], [{"a": "X"}, {"a": "5"}, {"a": 1}, {}]),
    Case({"a": [""]}, [{"a": ""}], [{"a": None}, {"a": " "}, {}]),
    Case({"a": [None]}, [{"a": None}], [{"a": ""}, {"a": 0}, {"a": "null"}, {}]),
    Case({"a": ["x", "y"]}, [{"a": ["q", "y"]}, {"a": ["x", "y"]}], [{"a": ["q"]}, {"a": []}]),
    Case({"a": {"b": ["x"]}}, [{"a": {"b": "x"}}, {"a": [{"b": "q"}, {"b": "x"}]}], [{"a": "x"}, {"a": {"c": "x"}}]),
    Case(
        {"a": {"b": ["x"], "c": ["y"]}},
        [{"a": [{"b": "x", "c": "y"}, {}]}],
        [{"a": [{"b": "x"}, {"c": "y"}]}],
    ),
    Case({"a": [{"prefix": "us-"}]}, [{"a": "us-east-1"}, {"a": "us-"}], [{"a": "eu-us-"}, {"a": "US-"}, {"a": 5}]),
    Case({"a": [{"prefix": {"equals-ignore-case": "Us-"}}]}, [{"a": "US-east"}, {"a": "us-e"}], [{"a": "u"}]),
    Case({"a": [{"suffix": ".png"}]}, [{"a": "x.png"}, {"a": ".png"}], [{"a": "x.png "}, {"a": "x.PNG"}, {}]),
    Case({"a": [{"equals-ignore-case": "Alice"}]}, [{"a": "aLICE"}], [{"a": "alice "}, {"a": None}]),
    Case({"a": [{"wildcard": "dir/*.png"}]}, [{"a": "dir/x/y.png"}, {"a": "dir/.png"}], [{"a": "dir/x.pn"}]),
    Case({"a": [{"anything-but": "x"}]}, [{"a": "y"}, {"a": 5}, {"a": None}, {"a": ["x", "y"]}], [{"a": "x"}, {}]),
    Case({"a": [{"anything-but": ["x", "y"]}]}, [{"a": "z"}, {"a": 5}], [{"a": "x"}, {"a": ["x", "y"]}]),
    Case({"a": [{"anything-but": [5, 6]}]}, [{"a": "5"}, {"a": 7}], [{"a": 5}, {}]),
    Case({"a": [{"anything-but": {"prefix": "us-"}}]}, [{"a": "eu-1"}], [{"a": "us-1"}, {}]),
    Case({"a": [{"anything-but": {"suffix": ".png"}}]}, [{"a": "x.gif"}], [{"a": "x.png"}]),
    Case({"a": [{"exists": True}]}, [{"a": "x"}, {"a": None}, {"a": False}], [{}, {"b": "x"}, {"a": {"b": "x"}}]),
    Case({"a": [{"exists": False}]}, [{}, {"b": "x"}, {"a": {"b": "x"}}], [{"a": "x"}, {"a": None}]),
    Case({"a": ["x", {"exists": False}]}, [{}, {"a": "x"}], [{"a": "y"}]),
    Case({"a": [{"numeric": ["=", 100]}]}, [{"a": 100}, {"a": 100.0}], [{"a": "100"}, {"a": 101}, {"a": True}]),
    Case({"a": [{"numeric": [">", 0, "<=", 5]}]}, [{"a": 5}, {"a": 0.1}], [{"a": 0}, {"a": 5.1}, {"a": "3"}]),
    Case({"a": [{"cidr": "10.0.0.0/24"}]}, [{"a": "10.0.0.255"}], [{"a": "10.0.1.0"}, {"a": "host"}]),
    Case({"a": ["x"], "b": ["y"]}, [{"a": "x", "b": "y"}], [{"a": "x"}, {"b": "y"}]),
    Case(
        {"$or": [{"a": ["x"]}, {"b": [{"numeric": [">", 5]}]}]},
        [{"a": "x"}, {"b": 6}, {"a": "q", "b": 6}],
        [{"a": "q"}, {"b": 5}, {}],
    ),
    Case({"c": ["z"], "$or": [{"a": ["x"]}, {"b": ["y"]}]}, [{"c": "z", "b": "y"}], [{"a": "x"}, {"c": "z"}]),
]
REFUSED: list[dict[str, Any]] = [
    {"a": "x"},
    {"a": []},
    {"a": {}},
    {"a": [["x"]]},
    {"a": [{"prefix": 5}]},
    {"a": [{"starts-with": "x"}]},
    {"a": [{"exists": "true"}]},
    {"a": [{"numeric": ["<", 5, ">", 0]}]},
    {"a": [{"numeric": ["=", "5"]}]},
    {"a": [{"anything-but": ["x", 5]}]},
    {"a": [{"anything-but": {"numeric": ["=", 5]}}]},
    {"a": [{"prefix": "x", "suffix": "y"}]},
]


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
    services.events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    told = {
        "InputPathsMap": {"case": "$.detail.case"},
        "InputTemplate": json.dumps({"rule": name})[:-1] + ', "case": <case>}',
    }
    target = {"Id": "queue", "Arn": queue["Attributes"]["QueueArn"], "InputTransformer": told}
    services.events.put_targets(Rule=name, EventBusName=bus, Targets=[target])


def put_event(services: Services, bus: str, source: str, detail_type: str, detail: dict[str, Any]) -> None:
    """Put one event on a bus."""
    entry = {"EventBusName": bus, "Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
    assert services.events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_rules_fire_for_what_they_match_and_for_no_near_miss(here: Services, rules: dict[str, dict[str, Any]]) -> None:
    bus = f"patterns-{uuid4().hex[:8]}"
    here.events.create_event_bus(Name=bus)
    for name, rule in rules.items():
        pattern = rule["EventPattern"]
        put_rule(here, bus, name, {**pattern, "source": [as_anybodys(source) for source in pattern["source"]]})
    put_rule(here, bus, "Last", {"source": [LAST["source"]]})
    expected = {(name, case) for case, event in enumerate(EVENTS) for name in matching(rules, event)}

    for case, event in enumerate([*EVENTS, LAST]):
        put_event(here, bus, as_anybodys(event["source"]), event["detail-type"], {**event["detail"], "case": case})
    told = [message["Body"] for message in here.messages("told", len(expected) + 1)]
    told += [message["Body"] for message in here.messages("told", 0)]

    assert len(expected) == len(MATCHED)
    assert {(each["rule"], each["case"]) for each in told} == expected | {("Last", len(EVENTS))}


def test_operators_of_patterns_take_what_awss_take(here: Services) -> None:
    bus = f"operators-{uuid4().hex[:8]}"
    here.events.create_event_bus(Name=bus)
    for number, case in enumerate(OPERATORS):
        put_rule(here, bus, f"operator-{number}", {"detail-type": [str(number)], "detail": case.pattern})
    put_rule(here, bus, "Last", {"source": [LAST["source"]]})
    expected: set[tuple[str, str]] = set()

    for number, case in enumerate(OPERATORS):
        for kind, details in (("taken", case.taken), ("left", case.left)):
            for place, detail in enumerate(details):
                told = f"{kind} {place}"
                if kind == "taken":
                    expected.add((f"operator-{number}", told))
                put_event(here, bus, "test.operators", str(number), {**detail, "case": told})
    put_event(here, bus, LAST["source"], "x", {"case": "last"})
    told = [message["Body"] for message in here.messages("told", len(expected) + 1)]
    told += [message["Body"] for message in here.messages("told", 0)]

    assert {(each["rule"], each["case"]) for each in told} == expected | {("Last", "last")}


@pytest.mark.parametrize("detail", REFUSED, ids=json.dumps)
def test_pattern_that_aws_refuses_is_refused(services: Services, detail: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="InvalidEventPatternException"):
        services.events.put_rule(Name="refused", EventPattern=json.dumps({"detail": detail}))
