"""What each role may do: the table of docs/architecture.md, nothing wider, and nothing that a handler lacks."""

import ast
import re

import pytest

from runctl.model.names import Function
from stacks.assembly.layout import REPOSITORY
from stacks.constructs.access import CONCLUDES, NEEDS, Need
from stacks.constructs.identity import id_of
from tests.infrastructure.deployed_template import ACCOUNT, REGION, DeployedTemplate
from tests.infrastructure.policies import actions_of, as_list, conditions_of, resources_of, statements_of

_DESCRIBES = "EC2 and SSM know no resource for these reads (Service Authorization Reference)"
_SSM_AGENT = "what the SSM agent calls names no resource (Service Authorization Reference, ssmmessages, ec2messages)"
_LOG_DELIVERY = "log delivery is set up for the account (Step Functions Developer Guide, logging)"
_TRACING = "X-Ray knows no resource for traces (X-Ray Developer Guide, identity-based policies)"

ALLOWED_ON_EVERYTHING = {
    "cloudwatch:PutMetricData": "knows no resource; a condition names our namespace",
    "ec2:DescribeImages": _DESCRIBES,
    "ec2:DescribeInstanceTypes": _DESCRIBES,
    "ec2:DescribeInstances": _DESCRIBES,
    "ec2:DescribeSpotPriceHistory": _DESCRIBES,
    "ec2:DescribeSubnets": _DESCRIBES,
    "pricing:GetProducts": "the Price List knows no resource: it is the same for everybody",
    "ssm:DescribeInstanceInformation": _DESCRIBES,
    "ssm:DescribeParameters": "knows no resource; it tells names, and no name holds an address",
    "ssm:ListAssociations": _SSM_AGENT,
    "ssm:ListInstanceAssociations": _SSM_AGENT,
    "ssm:UpdateInstanceAssociationStatus": _SSM_AGENT,
    "ssm:UpdateInstanceInformation": _SSM_AGENT,
    "ssmmessages:CreateControlChannel": _SSM_AGENT,
    "ssmmessages:CreateDataChannel": _SSM_AGENT,
    "ssmmessages:OpenControlChannel": _SSM_AGENT,
    "ssmmessages:OpenDataChannel": _SSM_AGENT,
    "ec2messages:AcknowledgeMessage": _SSM_AGENT,
    "ec2messages:DeleteMessage": _SSM_AGENT,
    "ec2messages:FailMessage": _SSM_AGENT,
    "ec2messages:GetEndpoint": _SSM_AGENT,
    "ec2messages:GetMessages": _SSM_AGENT,
    "ec2messages:SendReply": _SSM_AGENT,
    "logs:CreateLogDelivery": _LOG_DELIVERY,
    "logs:DeleteLogDelivery": _LOG_DELIVERY,
    "logs:DescribeLogGroups": _LOG_DELIVERY,
    "logs:DescribeResourcePolicies": _LOG_DELIVERY,
    "logs:GetLogDelivery": _LOG_DELIVERY,
    "logs:ListLogDeliveries": _LOG_DELIVERY,
    "logs:PutResourcePolicy": _LOG_DELIVERY,
    "logs:UpdateLogDelivery": _LOG_DELIVERY,
    "xray:GetSamplingRules": _TRACING,
    "xray:GetSamplingTargets": _TRACING,
    "xray:PutTelemetryRecords": _TRACING,
    "xray:PutTraceSegments": _TRACING,
}
"""The only actions that may be allowed on `*`, each with its reason."""

PORT_NEEDS = {
    "runs": {Need.KEEP_RUNS},
    "ledger": {Need.READ_LEDGER},
    "pages": {Need.KEEP_PAGES},
    "machines": {Need.LAUNCH_MACHINES, Need.DESCRIBE_MACHINES, Need.TERMINATE_MACHINES, Need.STOP_MACHINES},
    "prices": {Need.KNOW_PRICES},
    "commands": {Need.ASK_SSM, Need.SEND_COMMANDS},
    "tokens": {Need.ANSWER_TOKENS},
    "executions": {Need.ASK_EXECUTIONS},
    "bucket": {Need.READ_RESULTS, Need.WRITE_HANDOFF, Need.REMOVE_HANDOFF},
    "packages": {Need.READ_PACKAGES},
    "schedules": {Need.SET_SCHEDULES, Need.REMOVE_SCHEDULES},
    "notifications": {Need.NOTIFY},
    "metrics": {Need.PUT_METRICS},
    "slack_webhooks": {Need.READ_WEBHOOKS},
    "slack_later": {Need.TELL_LATER},
}
"""Which needs stand behind the ports of `runctl.controller.deployment`."""

NO_PORT = {"now", "settings", "from_environment", "slack_posts"}


def role_of(function: Function) -> str:
    return f"Functions{id_of(function)}Role"


def ports_of_handler(function: Function) -> set[str]:
    """Ports that the handler takes from its deployment, read from its source."""
    source = (REPOSITORY / "lambdas" / function.value / "handler.py").read_text(encoding="utf-8")
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "deployed"
    } - NO_PORT


def ports_of_the_document(function: Function) -> str:
    """The function's row in the document's table of ports."""
    document = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = document.split("What each function may touch")[1].split("## ")[0]
    rows = dict(re.findall(r"^\| (`[a-z_`, ]+`) \| (.+) \|$", table, re.MULTILINE))
    (found,) = [text for names, text in rows.items() if f"`{function.value}`" in names]
    return str(found)


@pytest.mark.parametrize("function", Function)
def test_a_function_may_touch_what_its_handler_takes_and_nothing_else(function: Function) -> None:
    taken = ports_of_handler(function)
    granted = {port for port, needs in PORT_NEEDS.items() if needs & set(NEEDS[function])}

    assert granted == taken


@pytest.mark.parametrize("function", Function)
def test_a_function_may_touch_what_the_document_says(function: Function) -> None:
    text, needs = ports_of_the_document(function), set(NEEDS[function])
    concludes = "what concludes" in text or function is Function.CONCLUDE_RUN
    own = needs if not concludes or function is Function.CONCLUDE_RUN else needs - set(CONCLUDES)

    assert set(CONCLUDES) <= needs or not concludes
    assert ("RunStore" in text) == bool(needs & PORT_NEEDS["runs"])
    assert ("TaskTokens" in text) == (Need.ANSWER_TOKENS in needs)
    assert ("Prices" in text) == (Need.KNOW_PRICES in needs)
    assert ("Metrics" in text) == (Need.PUT_METRICS in needs)
    assert ("Executions" in text) == (Need.ASK_EXECUTIONS in needs)
    assert ("Commands" in text) == bool(needs & PORT_NEEDS["commands"])
    assert ("Commands (is_online)" in text) == (Need.ASK_SSM in needs and Need.SEND_COMMANDS not in needs)
    assert ("CreateFleet" in text) == (Need.LAUNCH_MACHINES in needs)
    assert ("hand-off" in text) == bool(own & {Need.WRITE_HANDOFF, Need.REMOVE_HANDOFF})


def test_nothing_is_allowed_on_everything_without_a_reason(template: DeployedTemplate) -> None:
    on_everything = {
        action
        for policy in template.of_type("AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }

    assert on_everything == set(ALLOWED_ON_EVERYTHING)


def test_no_action_is_a_pattern(template: DeployedTemplate) -> None:
    patterns = {
        action
        for policy in template.of_type("AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if "*" in action
    }

    assert patterns == set()


def test_no_role_has_a_managed_or_inline_policy_beside_those_looked_at(template: DeployedTemplate) -> None:
    roles = template.of_type("AWS::IAM::Role").values()

    assert not [role for role in roles if role.get("ManagedPolicyArns") or role.get("Policies")]
    assert not template.of_type("AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize("function", Function)
def test_every_function_logs_and_puts_failures_away(template: DeployedTemplate, function: Function) -> None:
    role = role_of(function)

    assert resources_of(template, role, "logs:PutLogEvents") == {f"<Functions{id_of(function)}Logs.Arn>"}
    assert resources_of(template, role, "sqs:SendMessage") == {"<DeadLettersQueue.Arn>"}


def test_no_function_deletes_items_or_objects_but_reservations_and_hand_offs(template: DeployedTemplate) -> None:
    for function in Function:
        role = role_of(function)

        assert resources_of(template, role, "dynamodb:DeleteItem") <= {"<StorageBudgets.Arn>"}
        assert resources_of(template, role, "s3:DeleteObject") <= {"<StorageBucket.Arn>/handoff/*"}


def test_tokens_are_answered_for_our_state_machine_only(template: DeployedTemplate) -> None:
    answering = {
        function for function in Function if "states:SendTaskSuccess" in actions_of(template, role_of(function))
    }

    assert answering == {
        Function.AWAIT_READY,
        Function.START_TRAINING,
        Function.WATCH_COSTS,
        Function.OBSERVE_MACHINE,
        Function.OBSERVE_COMMAND,
        Function.OBSERVE_AGENT,
        Function.STOP_RUN,
        Function.REAP_MACHINES,
    }
    for function in answering:
        assert resources_of(template, role_of(function), "states:SendTaskSuccess") == {
            f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:runctl"
        }


def test_only_one_function_launches_and_only_from_our_template(template: DeployedTemplate) -> None:
    launching = [function for function in Function if "ec2:RunInstances" in actions_of(template, role_of(function))]
    resources = resources_of(template, role_of(Function.LAUNCH_MACHINE), "ec2:RunInstances")

    assert launching == [Function.LAUNCH_MACHINE]
    assert [resource for resource in resources if "launch-template" in resource] == [
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/<MachineLaunchTemplate>"
    ]
    assert [resource for resource in resources if "security-group" in resource] == [
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/<NetworkMachineSecurityGroup.GroupId>"
    ]


def test_the_launch_passes_the_machines_role_to_ec2_and_no_other(template: DeployedTemplate) -> None:
    role = role_of(Function.LAUNCH_MACHINE)

    assert [
        (as_list(statement["Resource"]), statement["Condition"])
        for statement in statements_of(template, role)
        if "iam:PassRole" in as_list(statement["Action"])
    ] == [
        (["<MachineRole.Arn>"], {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        (["<OneTimeSchedulesRole.Arn>"], {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}),
    ]


def test_the_role_for_spot_is_made_on_demand_and_is_no_resource_of_the_stack(template: DeployedTemplate) -> None:
    role = role_of(Function.LAUNCH_MACHINE)

    assert conditions_of(template, role, "iam:CreateServiceLinkedRole") == [
        {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}
    ]
    assert not template.of_type("AWS::IAM::ServiceLinkedRole")


@pytest.mark.parametrize("function", [f for f in Function if Need.TERMINATE_MACHINES in NEEDS[f]])
def test_only_machines_that_carry_a_run_are_terminated(template: DeployedTemplate, function: Function) -> None:
    role = role_of(function)

    assert conditions_of(template, role, "ec2:TerminateInstances") == [
        {"Null": {"aws:ResourceTag/runctl:run": "false"}}
    ]


@pytest.mark.parametrize("function", [f for f in Function if Need.SEND_COMMANDS in NEEDS[f]])
def test_commands_go_to_machines_that_carry_a_run_by_one_document(
    template: DeployedTemplate, function: Function
) -> None:
    role = role_of(function)

    assert resources_of(template, role, "ssm:SendCommand") == {
        f"arn:aws:ssm:{REGION}::document/AWS-RunShellScript",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*",
    }
    assert {"StringLike": {"ssm:resourceTag/runctl:run": "*"}} in conditions_of(template, role, "ssm:SendCommand")


def test_metrics_go_to_our_namespace_only(template: DeployedTemplate) -> None:
    for function in (Function.OBSERVE_AGENT, Function.WATCH_COSTS, Function.REAP_MACHINES):
        assert conditions_of(template, role_of(function), "cloudwatch:PutMetricData") == [
            {"StringEquals": {"cloudwatch:namespace": "runctl"}}
        ]


# -- the machine ------------------------------------------------------------------------------------------------------


def test_a_machine_reads_its_own_hand_off_code_and_agent(template: DeployedTemplate) -> None:
    readable = resources_of(template, "MachineRole", "s3:GetObject")
    (agent,) = [resource for resource in readable if "cdk-hnb659fds-assets" in resource]

    assert readable - {agent} == {"<StorageBucket.Arn>/handoff/${aws:userid}/*", "<StorageBucket.Arn>/code/*"}
    assert re.fullmatch(r"arn:aws:s3:::cdk-hnb659fds-assets-\d+-us-east-1/[0-9a-f]{64}\.gz", agent)
    assert "s3:ListBucket" not in actions_of(template, "MachineRole")


def test_a_machine_writes_below_its_own_prefixes_only(template: DeployedTemplate) -> None:
    results, packages = (
        "<StorageBucket.Arn>/runs/*/attempts/*/${aws:userid}/*",
        "<StorageBucket.Arn>/packages/${aws:userid}/*",
    )

    for action in ("s3:PutObject", "s3:AbortMultipartUpload"):
        assert resources_of(template, "MachineRole", action) == {results, packages}
    assert resources_of(template, "MachineRole", "s3:DeleteObject") == {results}


def test_no_machine_reads_the_packages_of_another(template: DeployedTemplate) -> None:
    assert not {each for each in resources_of(template, "MachineRole", "s3:GetObject") if "packages/" in each}


def test_a_machine_reads_secrets_below_our_prefixes_only(template: DeployedTemplate) -> None:
    assert resources_of(template, "MachineRole", "ssm:GetParameter") == {
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/runctl/secrets/*"
    }
    assert resources_of(template, "MachineRole", "secretsmanager:GetSecretValue") == {
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:runctl/*"
    }
    actions = actions_of(template, "MachineRole")
    assert {action for action in actions if action.startswith("ssm:Get")} == {"ssm:GetParameter"}
    assert not {action for action in actions if action.startswith("kms:")}
    assert "ssmmessages:OpenControlChannel" in actions


def test_a_machine_speaks_on_the_bus_as_an_agent_only(template: DeployedTemplate) -> None:
    assert resources_of(template, "MachineRole", "events:PutEvents") == {"<Bus.Arn>"}
    assert conditions_of(template, "MachineRole", "events:PutEvents") == [
        {"StringEquals": {"events:source": "runctl.agent"}}
    ]


def test_a_machine_sends_heartbeats_and_never_answers_a_token(template: DeployedTemplate) -> None:
    states = {action for action in actions_of(template, "MachineRole") if action.startswith("states:")}

    assert states == {"states:SendTaskHeartbeat"}


def test_statements_only_allow(template: DeployedTemplate) -> None:
    roles = template.of_type("AWS::IAM::Role")

    assert {s["Effect"] for role in roles for s in statements_of(template, role)} == {"Allow"}


def test_the_documents_table_names_every_function() -> None:
    assert all(ports_of_the_document(function) for function in Function)
