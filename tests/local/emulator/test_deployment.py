"""What a template asks of a resource is what the resource has."""

import pytest

from runctl.model.names import STACK_NAME
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud


def _physical_id(services: Services, logical_id: str) -> str:
    answer = services.client("cloudformation").describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId=logical_id
    )
    return answer["StackResourceDetail"]["PhysicalResourceId"]


def test_table_has_point_in_time_recovery(services: Services) -> None:
    answer = services.client("dynamodb").describe_continuous_backups(TableName=_physical_id(services, "Table"))

    description = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert description["PointInTimeRecoveryStatus"] == "ENABLED"


def test_bucket_has_its_lifecycle_rules(services: Services) -> None:
    bucket = _physical_id(services, "Bucket")

    rules = services.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]

    assert [(rule["ID"], rule.get("Expiration"), rule["Filter"].get("Prefix")) for rule in rules] == [
        ("old", {"Days": 31}, "handoff/")
    ]


def test_state_machine_has_its_logging(services: Services) -> None:
    machine_arn = _physical_id(services, "Machine")

    configuration = services.states.describe_state_machine(stateMachineArn=machine_arn)["loggingConfiguration"]

    assert (configuration["level"], configuration["includeExecutionData"]) == ("ERROR", False)
    assert ":log-group:" in configuration["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"]


def test_instance_profile_is_referred_to_by_its_name(services: Services) -> None:
    profile = services.client("iam").get_instance_profile(InstanceProfileName=services.outputs["ProfileName"])

    assert [role["RoleName"] for role in profile["InstanceProfile"]["Roles"]] == [_physical_id(services, "MachineRole")]
