"""EC2: machines, launches, types, images."""

import base64
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from runctl.aws.machines import Ec2Machines
from runctl.errors import InvalidSpec, PermissionDenied
from runctl.model.ids import InstanceId
from runctl.model.machine import Accelerator, LaunchedMachine, MachineState, MachineType
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption
from tests.contract.examples import INSTANCE, OTHER_RUN_ID, RUN_ID
from tests.contract.stubs import stubbed

UNKNOWN = InstanceId("i-0fffffffffffffff0")


def over_one_client(client: Any) -> Ec2Machines:
    """Make the gateway with one stubbed client for EC2."""
    return Ec2Machines(client, ssm=client)


# -- on moto's EC2 -----------------------------------------------------------------------------------------------


@pytest.fixture
def ec2(aws: None) -> Any:
    """EC2's client."""
    return boto3.client("ec2", region_name="us-east-1")


@pytest.fixture
def machines(ec2: Any) -> Ec2Machines:
    """The gateway on moto."""
    return Ec2Machines(ec2, boto3.client("ssm", region_name="us-east-1"))


def launch(ec2: Any, count: int = 1, **more_tags: str) -> list[InstanceId]:
    """Start instances with tags."""
    tags = {"Name": "test", **more_tags}
    answer = ec2.run_instances(
        ImageId="ami-12c6146b",  # one that moto has
        InstanceType="m5.large",
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    return [InstanceId(instance["InstanceId"]) for instance in answer["Instances"]]


@pytest.mark.parametrize("is_nitro", [True, False])
def test_the_end_of_a_console_is_read_whatever_the_hardware(is_nitro: bool) -> None:
    with stubbed("ec2", lambda client: Ec2Machines(client, ssm=client)) as (machines, stubber):
        asked = {"InstanceId": INSTANCE, "Latest": True}
        if not is_nitro:
            stubber.add_client_error("get_console_output", "UnsupportedOperation", expected_params=dict(asked))
            del asked["Latest"]
        output = base64.b64encode(b"x" * 20_000 + b"runctl: the end").decode()
        stubber.add_response("get_console_output", {"Output": output}, asked)

        console = machines.console_output(INSTANCE)

    assert console.endswith("runctl: the end")
    assert len(console) == 16_384


def test_a_console_of_which_ec2_has_nothing_yet_is_empty() -> None:
    with stubbed("ec2", lambda client: Ec2Machines(client, ssm=client)) as (machines, stubber):
        stubber.add_response("get_console_output", {"InstanceId": INSTANCE})

        assert machines.console_output(INSTANCE) == ""


@pytest.mark.parametrize("profile", [None, {"Arn": "arn:aws:iam::123456789012:instance-profile/p", "Id": "AIPA0"}])
def test_a_view_tells_whether_the_machine_has_an_instance_profile(profile: dict[str, str] | None) -> None:
    with stubbed("ec2", lambda client: Ec2Machines(client, ssm=client)) as (machines, stubber):
        instance = {"InstanceId": INSTANCE, "State": {"Name": "running"}}
        instance |= {} if profile is None else {"IamInstanceProfile": profile}
        stubber.add_response("describe_instances", {"Reservations": [{"Instances": [instance]}]})

        view = machines.machine(INSTANCE)

    assert view is not None
    assert view.has_instance_profile is (profile is not None)


def test_a_machine_is_described(ec2: Any, machines: Ec2Machines) -> None:
    (instance_id,) = launch(ec2, **{Tag.RUN.value: RUN_ID, Tag.ATTEMPT.value: "1"})

    machine = machines.machine(instance_id)

    assert machine is not None
    assert machine.instance_id == instance_id
    assert machine.state is MachineState.RUNNING
    assert machine.instance_type == "m5.large"
    assert machine.availability_zone.startswith("us-east-1")
    assert machine.purchase_option is PurchaseOption.ON_DEMAND
    assert machine.tags == {"Name": "test", Tag.RUN.value: RUN_ID, Tag.ATTEMPT.value: "1"}
    assert machine.launched_at is not None


def test_a_machine_that_ec2_does_not_know_is_none(machines: Ec2Machines) -> None:
    assert machines.machine(UNKNOWN) is None


def test_a_terminated_machine_says_who_ended_it(ec2: Any, machines: Ec2Machines) -> None:
    (instance_id,) = launch(ec2)

    machines.terminate(instance_id)

    machine = machines.machine(instance_id)
    assert machine is not None
    assert machine.state is MachineState.TERMINATED
    assert machine.state_reason == "Client.UserInitiatedShutdown"


def test_ending_a_machine_that_is_gone_is_fine(ec2: Any, machines: Ec2Machines) -> None:
    (instance_id,) = launch(ec2)

    machines.terminate(instance_id)
    machines.terminate(instance_id)
    machines.terminate(UNKNOWN)


def test_a_refusal_to_end_what_ec2_does_not_know_is_an_end() -> None:
    with stubbed("ec2", over_one_client) as (machines, ec2):
        ec2.add_client_error("terminate_instances", "UnauthorizedOperation")
        ec2.add_client_error("describe_instances", "InvalidInstanceID.NotFound")

        machines.terminate(UNKNOWN)


def test_a_refusal_to_end_a_machine_that_runs_is_a_missing_permission() -> None:
    running = {"Reservations": [{"Instances": [{"InstanceId": UNKNOWN, "State": {"Name": "running"}}]}]}
    with stubbed("ec2", over_one_client) as (machines, ec2):
        ec2.add_client_error("terminate_instances", "UnauthorizedOperation")
        ec2.add_response("describe_instances", running)

        with pytest.raises(PermissionDenied):
            machines.terminate(UNKNOWN)


def test_machines_of_a_run_are_found_by_tag_ended_ones_too(ec2: Any, machines: Ec2Machines) -> None:
    ended, running = launch(ec2, 2, **{Tag.RUN.value: RUN_ID})
    launch(ec2, **{Tag.RUN.value: OTHER_RUN_ID})
    launch(ec2)
    machines.terminate(ended)

    found = machines.machines_of_run(RUN_ID)

    assert {machine.instance_id: machine.state for machine in found} == {
        ended: MachineState.TERMINATED,
        running: MachineState.RUNNING,
    }


def test_tagged_machines_are_all_of_ours_that_have_not_ended(ec2: Any, machines: Ec2Machines) -> None:
    ours = launch(ec2, 2, **{Tag.RUN.value: RUN_ID})
    (stopped,) = launch(ec2, **{Tag.RUN.value: OTHER_RUN_ID})
    (ended,) = launch(ec2, **{Tag.RUN.value: OTHER_RUN_ID})
    launch(ec2)
    ec2.stop_instances(InstanceIds=[stopped])
    machines.terminate(ended)

    found = {machine.instance_id for machine in machines.tagged_machines()}

    assert found == {*ours, stopped}


def test_subnets_are_described_in_the_order_given(ec2: Any, machines: Ec2Machines) -> None:
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in ec2.describe_subnets()["Subnets"]}
    wanted = sorted(zone_of, reverse=True)[:3]

    subnets = machines.subnets(wanted)

    assert [(subnet.subnet_id, subnet.availability_zone) for subnet in subnets] == [
        (subnet_id, zone_of[subnet_id]) for subnet_id in wanted
    ]
    assert machines.subnets([]) == ()


def test_a_subnet_that_ec2_does_not_know_is_an_invalid_spec(machines: Ec2Machines) -> None:
    with pytest.raises(InvalidSpec, match="subnet-0fffffffffffffff0"):
        machines.subnets(["subnet-0fffffffffffffff0"])


def test_offered_types_are_those_a_training_may_be_put_on_with_what_they_have(machines: Ec2Machines) -> None:
    offered = {each.name: each for each in machines.offered_types(PurchaseOption.SPOT)}

    a10g = offered["g5.xlarge"]
    assert (a10g.accelerator, a10g.gpus, a10g.gpu_name, a10g.vcpus) == (Accelerator.NVIDIA, 1, "A10G", 4)
    assert a10g.gpu_memory_mib >= 22_000
    assert (offered["m5.large"].vcpus, offered["m5.large"].memory_mib) == (2, 8_192)
    assert not {"m6g.large", "t3.micro", "m5.metal"} & offered.keys()


def test_machine_types_are_described_in_the_order_given(machines: Ec2Machines) -> None:
    types = machines.machine_types(["g5.xlarge", "m6g.large", "m5.large", "inf2.xlarge", "g5.xlarge"])

    assert [(each.name, each.architecture, each.accelerator) for each in types] == [
        ("g5.xlarge", "x86_64", Accelerator.NVIDIA),
        ("m6g.large", "arm64", Accelerator.NONE),
        ("m5.large", "x86_64", Accelerator.NONE),
        ("inf2.xlarge", "x86_64", Accelerator.NEURON),
    ]


def test_a_type_that_ec2_does_not_know_is_named(machines: Ec2Machines) -> None:
    with pytest.raises(InvalidSpec, match=r"g99\.huge"):
        machines.machine_types(["m5.large", "g99.huge"])


# -- answers that moto does not make -----------------------------------------------------------------------------


def test_machines_of_all_pages_are_described() -> None:
    def page(instance_id: str, **token: str) -> dict[str, Any]:
        instance = {"InstanceId": instance_id, "State": {"Code": 16, "Name": "running"}}
        return {"Reservations": [{"Instances": [instance]}], **token}

    with stubbed("ec2", over_one_client) as (machines, stubber):
        stubber.add_response("describe_instances", page("i-1", NextToken="more"))
        stubber.add_response("describe_instances", {"Reservations": [], "NextToken": "and more"})
        stubber.add_response("describe_instances", page("i-2"))

        found = [machine.instance_id for machine in machines.tagged_machines()]

    assert found == ["i-1", "i-2"]


def test_a_machine_that_ec2_took_back_says_so() -> None:
    instance = {
        "InstanceId": INSTANCE,
        "State": {"Code": 32, "Name": "shutting-down"},
        "StateReason": {"Code": "Server.SpotInstanceTermination", "Message": "Server.SpotInstanceTermination: …"},
        "InstanceLifecycle": "spot",
        "InstanceType": "g5.xlarge",
        "LaunchTime": datetime(2026, 3, 1, tzinfo=UTC),
        "Placement": {"AvailabilityZone": "us-east-1b"},
    }
    with stubbed("ec2", over_one_client) as (machines, stubber):
        stubber.add_response("describe_instances", {"Reservations": [{"Instances": [instance]}]})

        machine = machines.machine(INSTANCE)

    assert machine is not None
    assert machine.state.is_final
    assert machine.state_reason == "Server.SpotInstanceTermination"
    assert machine.purchase_option is PurchaseOption.SPOT


def test_a_refused_description_is_not_a_missing_machine() -> None:
    with stubbed("ec2", over_one_client) as (machines, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("describe_instances", service_error_code="UnauthorizedOperation")
        machines.machine(INSTANCE)


REQUEST: dict[str, Any] = {
    "Type": "instant",
    "ClientToken": "c0ffee",
    "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
    "LaunchTemplateConfigs": [
        {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "$Latest"},
            "Overrides": [{"InstanceType": "g5.xlarge", "SubnetId": "subnet-a", "ImageId": "ami-1"}],
        }
    ],
}
OVERRIDES = {
    "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "1"},
    "Overrides": {
        "InstanceType": "g5.xlarge",
        "SubnetId": "subnet-a",
        "AvailabilityZone": "us-east-1a",
        "ImageId": "ami-1",
    },
}


def test_a_launch_answers_its_machine_and_the_refusals_beside_it() -> None:
    answer = {
        "FleetId": "fleet-1",
        "Instances": [
            {
                "LaunchTemplateAndOverrides": OVERRIDES,
                "Lifecycle": "spot",
                "InstanceIds": [INSTANCE],
                "InstanceType": "g5.xlarge",
            }
        ],
        "Errors": [
            {
                "LaunchTemplateAndOverrides": OVERRIDES,
                "Lifecycle": "spot",
                "ErrorCode": "InsufficientInstanceCapacity",
                "ErrorMessage": "There is no Spot capacity available that matches your request.",
            }
        ],
    }
    with stubbed("ec2", over_one_client) as (machines, stubber):
        stubber.add_response("create_fleet", answer, expected_params=REQUEST)

        launched = machines.create_fleet(REQUEST)

    assert launched.machines == (
        LaunchedMachine(
            instance_id=INSTANCE,
            instance_type="g5.xlarge",
            purchase_option=PurchaseOption.SPOT,
            subnet_id="subnet-a",
            availability_zone="us-east-1a",
            image_id="ami-1",
        ),
    )
    assert launched.errors == (
        {
            "code": "InsufficientInstanceCapacity",
            "message": "There is no Spot capacity available that matches your request.",
            "instance_type": "g5.xlarge",
            "subnet_id": "subnet-a",
            "availability_zone": "us-east-1a",
            "lifecycle": "spot",
        },
    )


def test_a_launch_that_gave_nothing_is_an_answer_and_no_error() -> None:
    error = {"ErrorCode": "UnauthorizedOperation", "ErrorMessage": "You are not authorized", "Lifecycle": "on-demand"}
    with stubbed("ec2", over_one_client) as (machines, stubber):
        stubber.add_response("create_fleet", {"FleetId": "fleet-1", "Instances": [], "Errors": [error]})

        launched = machines.create_fleet(REQUEST)

    assert launched.machines == ()
    assert [refusal["code"] for refusal in launched.errors] == ["UnauthorizedOperation"]


# -- images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "accelerator", "parameter"),
    [
        ("x86_64", "none", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"),
        ("arm64", "none", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"),
        (
            "x86_64",
            "nvidia",
            "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id",
        ),
        (
            "arm64",
            "nvidia",
            "/aws/service/deeplearning/ami/arm64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id",
        ),
        ("x86_64", "neuron", "/aws/service/neuron/dlami/base/amazon-linux-2023/latest/image_id"),
    ],
)
def test_the_image_is_resolved_by_architecture_and_accelerator(
    architecture: str, accelerator: str, parameter: str
) -> None:
    machine_type = MachineType(name="x", architecture=architecture, accelerator=Accelerator(accelerator))
    with stubbed("ssm", over_one_client) as (machines, stubber):
        stubber.add_response("get_parameter", {"Parameter": {"Value": "ami-1"}}, expected_params={"Name": parameter})

        image = machines.image_id(machine_type)

    assert image == "ami-1"


def test_a_machine_that_aws_publishes_no_image_for_is_an_invalid_spec(machines: Ec2Machines) -> None:
    with pytest.raises(InvalidSpec, match=r"mac2\.metal"):
        machines.image_id(MachineType(name="mac2.metal", architecture="arm64_mac"))


@pytest.mark.parametrize(
    ("name", "accelerator"),
    [
        ("p3.2xlarge", "nvidia"),
        ("p3dn.24xlarge", "nvidia"),
        ("p2.xlarge", "nvidia"),
        ("g3s.xlarge", "nvidia"),
        ("inf1.xlarge", "neuron"),
    ],
)
def test_a_type_that_the_images_driver_does_not_know_is_an_invalid_spec(
    machines: Ec2Machines, name: str, accelerator: str
) -> None:
    """It would boot, and train on its processors alone."""
    machine_type = MachineType(name=name, architecture="x86_64", accelerator=Accelerator(accelerator))

    with pytest.raises(InvalidSpec, match=f"drivers .* {name}"):
        machines.image_id(machine_type)


def test_an_image_that_the_region_lacks_is_an_invalid_spec() -> None:
    with stubbed("ssm", over_one_client) as (machines, stubber), pytest.raises(InvalidSpec, match="Region"):
        stubber.add_client_error("get_parameter", service_error_code="ParameterNotFound")
        machines.image_id(MachineType(name="m5.large", architecture="x86_64"))


def test_an_images_root_device_is_looked_up() -> None:
    with stubbed("ec2", over_one_client) as (machines, stubber):
        stubber.add_response(
            "describe_images",
            {"Images": [{"ImageId": "ami-1", "RootDeviceName": "/dev/sda1"}]},
            expected_params={"ImageIds": ["ami-1"]},
        )

        device = machines.root_device("ami-1")

    assert device == "/dev/sda1"


def test_an_image_without_a_root_volume_is_an_invalid_spec() -> None:
    with stubbed("ec2", over_one_client) as (machines, stubber), pytest.raises(InvalidSpec, match="ami-1"):
        stubber.add_response("describe_images", {"Images": []})
        machines.root_device("ami-1")
