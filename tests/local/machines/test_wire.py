"""AWS's formats on the wire, read from botocore's models."""

import json
from typing import Any, cast

import botocore.loaders
import pytest
from botocore.model import ServiceModel

from runctl.local.machines.wire import aws_json, ec2_query
from runctl.local.machines.wire.errors import AwsError
from runctl.local.machines.wire.models import cut_model
from runctl.local.machines.wire.pages import page

INVALID = AwsError("InvalidNextToken", "")


def model(service: str, *operations: str) -> ServiceModel:
    whole = cast("dict[str, Any]", botocore.loaders.Loader().load_service_model(service, "service-2"))
    return ServiceModel(json.loads(json.dumps(cut_model(whole, operations))), service)


@pytest.fixture(scope="module")
def ec2() -> ServiceModel:
    """A part of EC2's model."""
    return model("ec2", "CreateFleet", "DescribeInstances", "DescribeSpotPriceHistory")


def test_form_becomes_the_operations_input_with_types(ec2: ServiceModel) -> None:
    form = {
        "Action": "DescribeInstances",
        "Version": "2016-11-15",
        "InstanceId.2": "i-2",
        "InstanceId.10": "i-10",
        "InstanceId.1": "i-1",
        "Filter.1.Name": "instance-state-name",
        "Filter.1.Value.1": "running",
        "MaxResults": "7",
        "DryRun": "false",
    }

    parsed = ec2_query.parse(ec2.operation_model("DescribeInstances"), form)

    assert parsed == {
        "InstanceIds": ["i-1", "i-2", "i-10"],
        "Filters": [{"Name": "instance-state-name", "Values": ["running"]}],
        "MaxResults": 7,
        "DryRun": False,
    }


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"InstanceId": "i-1"}, "InvalidParameterValue"),
        ({"InstanceId.one": "i-1"}, "InvalidParameterValue"),
        ({"MaxResults": "many"}, "InvalidParameterValue"),
        ({"DryRun": "perhaps"}, "InvalidParameterValue"),
        ({"Colour": "red"}, "UnknownParameter"),
        ({"MaxResults.1": "5"}, "UnknownParameter"),
        ({"MaxResults": "5", "MaxResults.1": "5"}, "UnknownParameter"),
    ],
)
def test_form_that_ec2_would_refuse_is_refused(ec2: ServiceModel, form: dict[str, str], code: str) -> None:
    with pytest.raises(AwsError) as error:
        ec2_query.parse(ec2.operation_model("DescribeInstances"), form)

    assert error.value.code == code


def test_parameter_that_is_missing_is_named(ec2: ServiceModel) -> None:
    with pytest.raises(AwsError, match=r"MissingParameter.*LaunchTemplateConfigs"):
        ec2_query.parse(ec2.operation_model("CreateFleet"), {"Type": "instant"})


def test_answer_with_a_member_that_the_model_does_not_know_is_our_own_mistake(ec2: ServiceModel) -> None:
    with pytest.raises(TypeError, match="Colour"):
        ec2_query.success(ec2.operation_model("DescribeInstances"), {"Colour": "red"})


def test_text_in_an_answer_cannot_become_markup(ec2: ServiceModel) -> None:
    answer = ec2_query.success(ec2.operation_model("DescribeInstances"), {"NextToken": "<a>&</a>"})

    assert b"&lt;a&gt;&amp;&lt;/a&gt;" in answer.body


def test_given_paths_name_all_leaves_without_positions() -> None:
    parameters = {"A": {"B": 1}, "C": [{"D": 1, "E": [2]}, {"D": 3}]}

    assert sorted(set(ec2_query.given_paths(parameters))) == ["A.B", "C.D", "C.E"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"[]", "SerializationException"),
        (b"{}", "ValidationException"),
        (b'{"DocumentName": 7}', "ValidationException"),
        (b'{"DocumentName": "AWS-RunShellScript", "Colour": "red"}', "ValidationException"),
    ],
)
def test_document_that_systems_manager_would_refuse_is_refused(body: bytes, code: str) -> None:
    operation = model("ssm", "SendCommand").operation_model("SendCommand")

    with pytest.raises(AwsError) as error:
        aws_json.parse(operation, body)

    assert error.value.code == code


def test_pages_follow_one_another_though_items_come_and_go() -> None:
    items = ["a", "b", "c", "d", "e"]

    first, token = page(items, str, limit=2, token=None, invalid_token=INVALID)
    second, end = page(["0", "a", "c", "d", "e"], str, limit=3, token=token, invalid_token=INVALID)
    backwards, _ = page(items, str, limit=2, token=None, invalid_token=INVALID, descending=True)

    assert (first, second, end) == (["a", "b"], ["c", "d", "e"], None)
    assert backwards == ["e", "d"]


def test_page_token_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(AwsError, match="InvalidNextToken"):
        page(["a"], str, limit=1, token="%", invalid_token=INVALID)
