"""The doctor: each thing it looks at, well, ill, and hidden from it."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from runctl import __version__
from runctl.client.checks import Checks, Finding, Health
from runctl.client.clients import Clients
from runctl.model.names import Output
from runctl.model.run import PurchaseOption

OUTPUTS = {output.value: f"the-{output.value.lower()}" for output in Output} | {Output.VERSION.value: __version__}
GATEWAY = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}


def _refused(code: str, operation: str = "Look") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as AWS puts it"}}, operation)


class _Pages:
    """A paginator with one page."""

    def __init__(self, page: dict[str, Any]) -> None:
        self._page = page

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield self._page


class _Account:
    """An account in which all is well, until a test says otherwise: answers by `service.operation`."""

    region = "eu-central-1"

    def __init__(self) -> None:
        stack = {
            "StackId": "arn:aws:cloudformation:eu-central-1:1:stack/runctl/1",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in OUTPUTS.items()],
            "Parameters": [],
        }
        summaries = [
            {"LogicalResourceId": "NetworkSubnet1", "PhysicalResourceId": "subnet-1"},
            {"LogicalResourceId": "NetworkSubnet1Routes", "PhysicalResourceId": "rtbassoc-1"},
        ]
        micro = {
            "InstanceType": "t3.micro",
            "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
            "VCpuInfo": {"DefaultVCpus": 2},
        }
        self.answers: dict[str, Any] = {
            "sts.get_caller_identity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"},
            "ec2.describe_regions": {"Regions": [{"OptInStatus": "opt-in-not-required"}]},
            "ec2.describe_subnets": {"Subnets": [{"SubnetId": "subnet-1", "MapPublicIpOnLaunch": True}]},
            "ec2.describe_route_tables": {"RouteTables": [{"Routes": [GATEWAY]}]},
            "ec2.describe_instance_types": {"InstanceTypes": [micro]},
            "cloudformation.describe_stacks": {"Stacks": [stack]},
            "cloudformation.list_stack_resources": {"StackResourceSummaries": summaries},
            "s3.head_bucket": {},
            "lambda.get_account_settings": {
                "AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 900}
            },
            "ssm.get_parameter": {"Parameter": {"Value": "ami-1"}},
            "service-quotas.get_service_quota": {"Quota": {"Value": 32.0}},
            "iam.get_role": {},
        }

    @property
    def stack(self) -> dict[str, Any]:
        return self.answers["cloudformation.describe_stacks"]["Stacks"][0]

    def get(self, service: str, _config: Any = None) -> Any:
        return _Client(service, self.answers)


class _Client:
    def __init__(self, service: str, answers: dict[str, Any]) -> None:
        self._service = service
        self._answers = answers

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**_: Any) -> Any:
            answer = self._answers[f"{self._service}.{operation}"]
            if isinstance(answer, ClientError):
                raise answer
            return answer

        return call

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(getattr(self, operation)())


@pytest.fixture
def account() -> _Account:
    """An account in which all is well."""
    return _Account()


def _found(account: _Account) -> dict[str, Finding]:
    checks = Checks(cast("Clients", account), ["t3.micro"])
    return {finding.check: finding for finding in checks.findings()}


def test_all_is_well(account: _Account) -> None:
    found = _found(account)

    assert {name: each.health for name, each in found.items() if each.health is not Health.OK} == {}
    assert list(found) == [
        "credentials",
        "region",
        "stack",
        "bucket",
        "egress",
        "lambda",
        "image t3.micro",
        "on-demand quota t3.micro",
        "spot quota t3.micro",
        "spot role",
    ]


def test_quick_look_is_at_what_decides_a_launch(account: _Account) -> None:
    checks = Checks(cast("Clients", account), ["t3.micro"])

    found = [finding.check for finding in checks.quick(PurchaseOption.SPOT)]

    assert found == ["region", "stack", "bucket", "egress", "lambda", "spot quota t3.micro"]


def test_unknown_credentials_are_the_only_finding(account: _Account) -> None:
    account.answers["sts.get_caller_identity"] = _refused("ExpiredToken")

    found = _found(account)

    assert {name: each.health for name, each in found.items()} == {"credentials": Health.PROBLEM}
    assert "aws sso login" in found["credentials"].hint


def _ill(check: str, hint: str, **answers: Any) -> Any:
    return pytest.param(check, hint, {name.replace("__", "."): value for name, value in answers.items()}, id=check)


@pytest.mark.parametrize(
    ("check", "hint", "answers"),
    [
        _ill("region", "enable-region", ec2__describe_regions={"Regions": [{"OptInStatus": "not-opted-in"}]}),
        _ill("stack", "runctl deploy", cloudformation__describe_stacks=_refused("ValidationError")),
        _ill("bucket", "runctl destroy", s3__head_bucket=_refused("404")),
        _ill("egress", "NAT gateway", ec2__describe_route_tables={"RouteTables": []}),
        _ill(
            "lambda",
            "Service Quotas",
            lambda__get_account_settings={
                "AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 5}
            },
        ),
        _ill("image t3.micro", "Region", ssm__get_parameter=_refused("ParameterNotFound")),
    ],
)
def test_what_is_ill_is_a_problem_with_what_mends_it(
    account: _Account, check: str, hint: str, answers: dict[str, Any]
) -> None:
    if check == "stack":
        answers = {
            name: ClientError({"Error": {"Code": "ValidationError", "Message": "runctl does not exist"}}, "Describe")
            for name in answers
        }
    account.answers.update(answers)

    finding = _found(account)[check]

    assert finding.health is Health.PROBLEM
    assert hint in finding.hint


@pytest.mark.parametrize("option", ["on-demand", "spot"])
def test_quota_smaller_than_one_machine_is_a_problem(account: _Account, option: str) -> None:
    account.answers["service-quotas.get_service_quota"] = {"Quota": {"Value": 1.0}}

    finding = _found(account)[f"{option} quota t3.micro"]

    assert finding.health is Health.PROBLEM
    assert "--desired-value 2" in finding.hint


@pytest.mark.parametrize("version", ["0.0.1", "99.0.0"])
def test_stack_of_another_version_is_a_problem(account: _Account, version: str) -> None:
    account.stack["Outputs"] = [
        {"OutputKey": name, "OutputValue": version if name == Output.VERSION.value else value}
        for name, value in OUTPUTS.items()
    ]

    finding = _found(account)["stack"]

    assert finding.health is Health.PROBLEM
    assert version in finding.text


def test_spot_role_that_is_not_there_yet_is_well(account: _Account) -> None:
    account.answers["iam.get_role"] = _refused("NoSuchEntity")

    finding = _found(account)["spot role"]

    assert finding.health is Health.OK
    assert "first spot machine makes it" in finding.text


HIDDEN = {
    "region": "ec2.describe_regions",
    "stack": "cloudformation.describe_stacks",
    "bucket": "s3.head_bucket",
    "egress": "ec2.describe_route_tables",
    "lambda": "lambda.get_account_settings",
    "image t3.micro": "ssm.get_parameter",
    "spot quota t3.micro": "service-quotas.get_service_quota",
    "spot role": "iam.get_role",
}


@pytest.mark.parametrize("check", HIDDEN)
def test_what_may_not_be_looked_at_is_no_ok_and_says_so(account: _Account, check: str) -> None:
    account.answers[HIDDEN[check]] = _refused("403" if check == "bucket" else "AccessDenied")

    finding = _found(account)[check]

    assert finding.health is Health.UNKNOWN
    assert "may not be looked at" in finding.text


def test_disturbance_of_aws_is_neither_well_nor_ill(account: _Account) -> None:
    account.answers["iam.get_role"] = _refused("Throttling")

    assert _found(account)["spot role"].health is Health.UNKNOWN


def test_given_subnets_are_looked_at_instead_of_the_stacks_own(account: _Account) -> None:
    account.stack["Parameters"] = [{"ParameterKey": "SubnetIds", "ParameterValue": "subnet-8,subnet-9"}]

    assert _found(account)["egress"].text == "2 subnets have a way out."


@pytest.mark.parametrize(
    ("tags", "health", "hint"),
    [
        ([{"TagKey": "runctl:stack", "Type": "UserDefined", "Status": "Active"}], Health.OK, ""),
        (
            [{"TagKey": "runctl:stack", "Type": "UserDefined", "Status": "Inactive"}],
            Health.PROBLEM,
            "TagKey=runctl:stack,Status=Active",
        ),
        ([], Health.PROBLEM, "A day after the first machine"),
    ],
)
def test_an_aws_budget_needs_its_tag_to_be_active(
    account: _Account, tags: list[dict[str, str]], health: Health, hint: str
) -> None:
    account.stack["Parameters"] = [{"ParameterKey": "AwsBudgetUsd", "ParameterValue": "500"}]
    account.answers["ce.list_cost_allocation_tags"] = {"CostAllocationTags": tags}

    found = _found(account)["cost tag"]

    assert found.health is health
    assert hint in found.hint


def test_an_account_that_does_not_pay_is_told_that_its_tag_may_not_be_looked_at(account: _Account) -> None:
    account.stack["Parameters"] = [{"ParameterKey": "AwsBudgetUsd", "ParameterValue": "500"}]
    account.answers["ce.list_cost_allocation_tags"] = _refused("AccessDeniedException", "ListCostAllocationTags")

    assert _found(account)["cost tag"].health is Health.UNKNOWN
