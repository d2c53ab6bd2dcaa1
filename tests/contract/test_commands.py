"""SSM: readiness and Run Command."""

import pytest

from runctl.aws.commands import SsmCommands
from runctl.errors import MachineNotReady, PermissionDenied, Throttled
from tests.contract.examples import INSTANCE
from tests.contract.stubs import stubbed


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([{"InstanceId": INSTANCE, "PingStatus": "Online"}], True),
        ([{"InstanceId": INSTANCE, "PingStatus": "ConnectionLost"}], False),
        ([], False),
    ],
)
def test_a_machine_is_online_only_when_ssm_says_so(known: list[dict[str, str]], expected: bool) -> None:
    with stubbed("ssm", SsmCommands) as (commands, stubber):
        stubber.add_response(
            "describe_instance_information",
            {"InstanceInformationList": known},
            expected_params={"Filters": [{"Key": "InstanceIds", "Values": [INSTANCE]}]},
        )

        assert commands.is_online(INSTANCE) is expected


def test_a_refused_question_is_not_offline() -> None:
    with stubbed("ssm", SsmCommands) as (commands, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("describe_instance_information", service_error_code="AccessDeniedException")
        commands.is_online(INSTANCE)


def test_a_script_is_sent_with_limits_and_a_short_comment() -> None:
    with stubbed("ssm", SsmCommands) as (commands, stubber):
        stubber.add_response(
            "send_command",
            {"Command": {"CommandId": "0a1b2c3d-0000-4000-8000-000000000001"}},
            expected_params={
                "InstanceIds": [INSTANCE],
                "DocumentName": "AWS-RunShellScript",
                "Parameters": {"commands": ["true"], "executionTimeout": ["600"]},
                "TimeoutSeconds": 120,
                "Comment": "c" * 100,
            },
        )

        command_id = commands.send(INSTANCE, "true", comment="c" * 200)

    assert command_id == "0a1b2c3d-0000-4000-8000-000000000001"


def test_a_machine_that_ssm_does_not_know_is_not_ready() -> None:
    with stubbed("ssm", SsmCommands) as (commands, stubber), pytest.raises(MachineNotReady):
        stubber.add_client_error("send_command", service_error_code="InvalidInstanceId")
        commands.send(INSTANCE, "true", comment="start")


@pytest.mark.parametrize(
    ("code", "expected"), [("AccessDeniedException", PermissionDenied), ("ThrottlingException", Throttled)]
)
def test_a_refused_command_is_not_a_machine_that_is_not_ready(code: str, expected: type[Exception]) -> None:
    with stubbed("ssm", SsmCommands) as (commands, stubber), pytest.raises(expected):
        stubber.add_client_error("send_command", service_error_code=code)
        commands.send(INSTANCE, "true", comment="start")
