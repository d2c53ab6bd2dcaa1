"""The functions: runtime, names, environment, logs, and where their failures go."""

from collections.abc import Callable
from typing import Any

import pytest

from runctl.model.names import Function, Parameter, Variable
from stacks.constructs.identity import id_of
from tests.infrastructure.deployed_template import DeployedTemplate


@pytest.fixture
def functions(template: DeployedTemplate) -> dict[str, dict[str, Any]]:
    """All functions by their CDK id."""
    found = template.of_type("AWS::Lambda::Function")
    return {logical_id.removeprefix("Functions"): function for logical_id, function in found.items()}


def test_there_is_one_function_for_each_concern(functions: dict[str, dict[str, Any]]) -> None:
    assert set(functions) == {id_of(function) for function in Function}


@pytest.mark.parametrize("function", Function)
def test_a_function_runs_its_own_handler_on_the_deployed_runtime(
    functions: dict[str, dict[str, Any]], function: Function
) -> None:
    made = functions[id_of(function)]

    assert made["Handler"] == f"lambdas.{function.value}.handler.handler"
    assert made["Runtime"] == "python3.13"
    assert made["Architectures"] == ["arm64"]
    assert made["FunctionName"] == f"runctl-{function.value}"
    assert made["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == function.value


def test_no_two_functions_share_a_role(functions: dict[str, dict[str, Any]]) -> None:
    roles = [function["Role"] for function in functions.values()]

    assert len(set(roles)) == len(roles) == len(Function)


def test_functions_are_told_all_names_of_the_deployment(functions: dict[str, dict[str, Any]]) -> None:
    told = functions[id_of(Function.LAUNCH_MACHINE)]["Environment"]["Variables"]

    assert {variable.value for variable in Variable} <= set(told)
    assert all(told.values())


def test_no_concurrency_is_reserved(functions: dict[str, dict[str, Any]]) -> None:
    assert not [name for name, function in functions.items() if "ReservedConcurrentExecutions" in function]


@pytest.mark.parametrize("function", Function)
def test_a_functions_log_is_kept_for_a_month(template: DeployedTemplate, function: Function) -> None:
    group = template.of_type("AWS::Logs::LogGroup")[f"Functions{id_of(function)}Logs"]
    made = template.of_type("AWS::Lambda::Function")[f"Functions{id_of(function)}"]

    assert group["LogGroupName"] == f"/aws/lambda/runctl-{function.value}"
    assert group["RetentionInDays"] == 30
    assert made["LoggingConfig"]["LogGroup"] == f"<Functions{id_of(function)}Logs>"


def test_every_log_group_forgets(template: DeployedTemplate) -> None:
    groups = template.of_type("AWS::Logs::LogGroup")

    assert len(groups) == len(Function) + 2
    assert all(group["RetentionInDays"] <= 90 for group in groups.values())


@pytest.mark.parametrize("function", Function)
def test_what_a_function_fails_at_for_good_is_kept(template: DeployedTemplate, function: Function) -> None:
    configured = template.of_type("AWS::Lambda::EventInvokeConfig")[f"Functions{id_of(function)}EventInvokeConfig"]

    assert configured["FunctionName"] == f"<Functions{id_of(function)}>"
    assert configured["DestinationConfig"] == {"OnFailure": {"Destination": "<DeadLettersQueue.Arn>"}}


@pytest.mark.parametrize(
    ("parameters", "bucket"),
    [
        ({}, "cdk-hnb659fds-assets-123456789012-us-east-1"),
        ({Parameter.ASSET_BUCKET: "assets"}, "assets"),
    ],
)
def test_code_comes_from_the_asset_bucket(
    deploy: Callable[..., DeployedTemplate], parameters: dict[str, str], bucket: str
) -> None:
    functions = deploy(**parameters).of_type("AWS::Lambda::Function").values()

    assert {function["Code"]["S3Bucket"] for function in functions} == {bucket}
    assert len({function["Code"]["S3Key"] for function in functions}) == 1
