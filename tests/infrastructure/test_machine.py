"""What machines are launched with."""

from typing import Any

import pytest

from runctl.model.names import Function, Variable
from stacks.constructs.identity import id_of
from stacks.constructs.machine import USER_DATA_LIMIT
from tests.infrastructure.deployed_template import DeployedTemplate


@pytest.fixture
def launched_with(template: DeployedTemplate) -> dict[str, Any]:
    """The launch template's data."""
    (resource,) = template.of_type("AWS::EC2::LaunchTemplate").values()
    data: dict[str, Any] = resource["LaunchTemplateData"]
    return data


def test_metadata_needs_a_session_token_and_shows_tags(launched_with: dict[str, Any]) -> None:
    assert launched_with["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
        "InstanceMetadataTags": "enabled",
    }


def test_a_machine_that_shuts_down_is_gone(launched_with: dict[str, Any]) -> None:
    assert launched_with["InstanceInitiatedShutdownBehavior"] == "terminate"


def test_the_root_volume_is_encrypted_and_goes_with_the_machine(launched_with: dict[str, Any]) -> None:
    (mapping,) = launched_with["BlockDeviceMappings"]

    assert mapping["Ebs"]["Encrypted"] is True
    assert mapping["Ebs"]["VolumeType"] == "gp3"
    assert mapping["Ebs"]["DeleteOnTermination"] is True


def test_the_launching_call_alone_tags_what_it_makes(launched_with: dict[str, Any]) -> None:
    """By both, it would not be sure which tags count."""
    assert "TagSpecifications" not in launched_with


def test_image_type_and_network_interface_are_left_to_the_request(launched_with: dict[str, Any]) -> None:
    assert not {"ImageId", "InstanceType", "NetworkInterfaces", "KeyName"} & set(launched_with)


def test_machines_have_the_profile_that_users_look_for(
    template: DeployedTemplate, launched_with: dict[str, Any]
) -> None:
    (profile,) = template.of_type("AWS::IAM::InstanceProfile").values()

    assert profile["InstanceProfileName"] == "runctl-ssm-profile"
    assert profile["Roles"] == ["<MachineRole>"]
    assert launched_with["IamInstanceProfile"] == {"Arn": "<MachineProfile.Arn>"}


def test_user_data_fits_and_has_no_placeholder_left(launched_with: dict[str, Any]) -> None:
    user_data = launched_with["UserData"]

    assert user_data.startswith("#!/usr/bin/env python3\n")
    assert len(user_data.encode()) <= USER_DATA_LIMIT
    compile(user_data, "user data", "exec")
    assert not {f"@{name}@" for name in ("ASSET_BUCKET", "AGENT_KEY", "AGENT_SHA256", "BUS_NAME")} & set(
        user_data.replace('"', "\n").split("\n")
    )


def test_user_data_names_the_bus_and_the_agents_archive(
    template: DeployedTemplate, launched_with: dict[str, Any]
) -> None:
    user_data = launched_with["UserData"]

    assert 'ASSET_BUCKET = "cdk-hnb659fds-assets-123456789012-us-east-1"' in user_data
    assert 'BUS_NAME = "<Bus>"' in user_data
    (key,) = [line.split('"')[1] for line in user_data.splitlines() if line.startswith("AGENT_KEY = ")]
    assert f'AGENT_SHA256 = "{key.removesuffix(".gz")}"' in user_data


def test_machines_are_let_out_to_the_web_and_nobody_is_let_in(template: DeployedTemplate) -> None:
    (group,) = template.of_type("AWS::EC2::SecurityGroup").values()

    assert group["SecurityGroupIngress"] == []
    assert sorted(rule["ToPort"] for rule in group["SecurityGroupEgress"]) == [80, 443]
    assert not template.of_type("AWS::EC2::SecurityGroupIngress")


def test_functions_are_told_what_to_launch(template: DeployedTemplate) -> None:
    launching = template.of_type("AWS::Lambda::Function")[f"Functions{id_of(Function.LAUNCH_MACHINE)}"]
    told = launching["Environment"]["Variables"]

    assert told[Variable.LAUNCH_TEMPLATE_ID] == "<MachineLaunchTemplate>"
    assert told[Variable.MACHINE_ROLE_ID] == "<MachineRole.RoleId>"
    assert told[Variable.SUBNET_IDS] == "<NetworkSubnet1>,<NetworkSubnet2>,<NetworkSubnet3>"
