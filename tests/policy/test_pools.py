"""The request of a launch try, against the model of CreateFleet that botocore carries."""

from datetime import datetime
from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel, StringShape, StructureShape
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from runctl.model.attempt import Attempt, FactKind, LaunchTry
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.machine import MachineType, Subnet
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption
from runctl.model.status import Reason
from runctl.policy.pools import Pool, choose_pools, client_token, fleet_request
from tests.factories import RUN_ID, after, make_attempt, make_run, make_spec, with_facts

X86 = MachineType(name="m5.large", architecture="x86_64")
ARM = MachineType(name="m7g.large", architecture="arm64")
A = Subnet(subnet_id="subnet-a", availability_zone="us-east-1a")
B = Subnet(subnet_id="subnet-b", availability_zone="us-east-1b")
A2 = Subnet(subnet_id="subnet-a2", availability_zone="us-east-1a")
NOW = after(3_600)
IMAGES = {"m5.large": "ami-x86", "m7g.large": "ami-arm"}


@pytest.fixture(scope="module")
def create_fleet() -> OperationModel:
    """CreateFleet as the pinned botocore knows it."""
    return botocore.session.get_session().get_service_model("ec2").operation_model("CreateFleet")


def request(option: PurchaseOption = PurchaseOption.SPOT) -> dict[str, Any]:
    """A request over two types and two zones."""
    run = make_run(spec=make_spec(purchase_option=option, instance_types=("m5.large", "m7g.large")))
    pools = choose_pools([X86, ARM], [A, B], [], 1, NOW)
    return fleet_request(run, AttemptNumber(2), 1, pools, IMAGES, "lt-1")


@pytest.mark.parametrize("option", list(PurchaseOption))
def test_a_request_has_the_shape_that_botocore_sends(create_fleet: OperationModel, option: PurchaseOption) -> None:
    shape = create_fleet.input_shape
    assert shape is not None

    report = ParamValidator().validate(request(option), shape)

    assert not report.has_errors(), report.generate_report()


def test_a_misspelt_member_would_be_noticed(create_fleet: OperationModel) -> None:
    shape = create_fleet.input_shape
    assert shape is not None

    report = ParamValidator().validate({**request(), "SpotOption": {}}, shape)

    assert report.has_errors()


def test_allocation_strategies_are_ones_that_ec2_knows(create_fleet: OperationModel) -> None:
    strategies = {option: _strategies(create_fleet, option) for option in ("SpotOptions", "OnDemandOptions")}

    assert request()["SpotOptions"]["AllocationStrategy"] in strategies["SpotOptions"]
    assert request(PurchaseOption.ON_DEMAND)["OnDemandOptions"]["AllocationStrategy"] in strategies["OnDemandOptions"]


def _strategies(create_fleet: OperationModel, option: str) -> list[str]:
    shape = create_fleet.input_shape
    assert isinstance(shape, StructureShape)
    options = shape.members[option]
    assert isinstance(options, StructureShape)
    strategy = options.members["AllocationStrategy"]
    assert isinstance(strategy, StringShape)
    return list(strategy.enum)


def test_every_type_is_asked_for_in_every_zone_with_the_image_of_its_architecture() -> None:
    overrides = request()["LaunchTemplateConfigs"][0]["Overrides"]

    assert [(o["InstanceType"], o["SubnetId"], o["ImageId"]) for o in overrides] == [
        ("m5.large", "subnet-a", "ami-x86"),
        ("m5.large", "subnet-b", "ami-x86"),
        ("m7g.large", "subnet-a", "ami-arm"),
        ("m7g.large", "subnet-b", "ami-arm"),
    ]


def test_spot_is_left_to_price_and_capacity_and_sets_no_price_of_its_own() -> None:
    asked = request()

    assert asked["SpotOptions"]["AllocationStrategy"] == "price-capacity-optimized"
    assert "OnDemandOptions" not in asked
    assert all("MaxPrice" not in o and "Priority" not in o for o in asked["LaunchTemplateConfigs"][0]["Overrides"])
    assert asked["TargetCapacitySpecification"]["SpotTargetCapacity"] == 1
    assert asked["TargetCapacitySpecification"]["OnDemandTargetCapacity"] == 0


def test_on_demand_is_asked_for_in_the_order_of_the_spec() -> None:
    asked = request(PurchaseOption.ON_DEMAND)

    assert asked["OnDemandOptions"] == {"AllocationStrategy": "prioritized"}
    assert [o["Priority"] for o in asked["LaunchTemplateConfigs"][0]["Overrides"]] == [0.0, 1.0, 2.0, 3.0]
    assert asked["TargetCapacitySpecification"]["DefaultTargetCapacityType"] == "on-demand"


def test_a_request_reads_the_same_after_it_was_stored() -> None:
    """DynamoDB gives 0.0 back as 0, and EC2 is sent a number's text: a replay under a token may not differ by it."""
    asked = request(PurchaseOption.ON_DEMAND)

    priorities = [str(o["Priority"]) for o in asked["LaunchTemplateConfigs"][0]["Overrides"]]

    assert priorities == ["0", "1", "2", "3"]


@pytest.mark.parametrize("option", PurchaseOption)
@pytest.mark.parametrize("kind", ["instance", "fleet", "volume", "network-interface"])
def test_all_that_the_launching_call_makes_carries_whose_it_is(kind: str, option: PurchaseOption) -> None:
    specifications = {s["ResourceType"]: s["Tags"] for s in request(option)["TagSpecifications"]}

    tags = {tag["Key"]: tag["Value"] for tag in specifications[kind]}
    assert tags[Tag.RUN] == RUN_ID
    assert tags[Tag.ATTEMPT] == "2"
    assert tags[Tag.PROJECT] == "vision"
    assert tags[Tag.USER] == "ada"
    assert len(specifications) == 4  # all that an instant fleet may tag


def test_a_long_user_name_is_cut_to_what_a_tag_holds() -> None:
    run = make_run(user="u" * 300, name="n" * 300)

    asked = fleet_request(run, AttemptNumber(1), 1, [Pool("m5.large", A)], IMAGES, "lt-1")

    assert max(len(tag["Value"]) for tag in asked["TagSpecifications"][0]["Tags"]) == 256


def test_the_pool_that_was_just_taken_back_is_left_out() -> None:
    taken = make_attempt(
        instance_type="m5.large", availability_zone="us-east-1a", reason=Reason.SPOT_INTERRUPTION, ended_at=after(60)
    )

    pools = choose_pools([X86, ARM], [A, B], [taken], 1, NOW)

    assert Pool("m5.large", A) not in pools
    assert len(pools) == 3


def test_the_only_pool_is_asked_for_again_and_lost_machines_change_nothing() -> None:
    taken = make_attempt(
        instance_type="m5.large", availability_zone="us-east-1a", reason=Reason.SPOT_INTERRUPTION, ended_at=after(60)
    )
    lost = taken.model_copy(update={"reason": Reason.MACHINE_LOST})

    assert choose_pools([X86], [A], [taken], 1, NOW) == (Pool("m5.large", A),)
    assert len(choose_pools([X86, ARM], [A, B], [lost], 1, NOW)) == 4


def refused_in_a(code: str, answered_at: datetime) -> Attempt:
    """An attempt whose last try one pool refused with this code."""
    error = {"code": code, "message": "", "instance_type": "m5.large", "availability_zone": "us-east-1a"}
    launch = LaunchTry(number=1, client_token="t", request={}, answered_at=answered_at, errors=(error,))
    return make_attempt(launch=launch)


@pytest.mark.parametrize(
    ("attempt", "is_asked"),
    [
        (make_attempt(instance_type="m5.large", reason=Reason.SPOT_INTERRUPTION, ended_at=after(60)), False),
        (make_attempt(instance_type="m5.large", reason=Reason.SPOT_INTERRUPTION, ended_at=after(-60)), True),
        (with_facts(make_attempt(instance_type="m5.large"), FactKind.WARNED), False),
        (refused_in_a("InsufficientInstanceCapacity", after(3_100)), False),
        (refused_in_a("InsufficientInstanceCapacity", after(2_900)), True),
        (refused_in_a("Unsupported", after(-90_000)), False),
        (refused_in_a("RequestLimitExceeded", after(3_500)), True),
    ],
)
def test_a_pool_cools_down_after_an_interruption_or_a_refusal(attempt: Attempt, is_asked: bool) -> None:
    pools = choose_pools([X86, ARM], [A, B], [attempt, make_attempt(2)], 1, NOW)

    assert (Pool("m5.large", A) in pools) is is_asked
    assert len(pools) == 3 + is_asked


def test_when_all_pools_cool_down_those_that_exist_are_asked_again() -> None:
    missing = refused_in_a("Unsupported", after(0))
    taken = [
        make_attempt(n + 2, instance_type=t, availability_zone=z, reason=Reason.SPOT_INTERRUPTION, ended_at=NOW)
        for n, (t, z) in enumerate(
            [("m5.large", "us-east-1b"), ("m7g.large", "us-east-1a"), ("m7g.large", "us-east-1b")]
        )
    ]

    pools = choose_pools([X86, ARM], [A, B], [missing, *taken], 1, NOW)

    assert len(pools) == 3
    assert Pool("m5.large", A) not in pools


def test_a_run_that_fell_back_asks_for_an_on_demand_machine() -> None:
    run = make_run(spec=make_spec(fallback=True), fell_back_at=NOW)

    asked = fleet_request(run, AttemptNumber(1), 1, [Pool("m5.large", A)], IMAGES, "lt-1")

    assert asked["TargetCapacitySpecification"]["DefaultTargetCapacityType"] == "on-demand"
    assert asked["TargetCapacitySpecification"]["OnDemandTargetCapacity"] == 1
    assert "SpotOptions" not in asked


def test_of_two_subnets_of_a_zone_one_is_asked_for_and_the_other_at_the_next_try() -> None:
    first = choose_pools([X86], [A, A2, B], [], 1, NOW)
    second = choose_pools([X86], [A, A2, B], [], 2, NOW)

    assert [pool.subnet for pool in first] == [A, B]
    assert [pool.subnet for pool in second] == [A2, B]


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=2, max_size=2, unique=True))
def test_each_try_of_each_attempt_has_a_client_token_of_its_own(tries: list[tuple[int, int]]) -> None:
    (number, launch_try), (other_number, other_try) = tries

    token = client_token(RUN_ID, AttemptNumber(number), launch_try)

    assert token != client_token(RUN_ID, AttemptNumber(other_number), other_try)
    assert token != client_token(RunId("r-other"), AttemptNumber(number), launch_try)
    assert token == client_token(RUN_ID, AttemptNumber(number), launch_try)
    assert len(token) <= 64


def test_a_disk_of_ones_own_replaces_the_launch_templates_under_each_images_root_device(
    create_fleet: OperationModel,
) -> None:
    run = make_run(spec=make_spec(disk_gib=500))
    pools = [Pool("m5.large", A), Pool("c5.large", A)]
    images = {"m5.large": "ami-1", "c5.large": "ami-2"}

    asked = fleet_request(run, AttemptNumber(1), 1, pools, images, "lt-1", {"ami-1": "/dev/xvda", "ami-2": "/dev/sda1"})

    shape = create_fleet.input_shape
    assert shape is not None
    assert not ParamValidator().validate(asked, shape).has_errors()
    (config,) = asked["LaunchTemplateConfigs"]
    devices = [mapping for override in config["Overrides"] for mapping in override["BlockDeviceMappings"]]
    ebs = {"VolumeType": "gp3", "VolumeSize": 500, "Encrypted": True, "DeleteOnTermination": True}
    assert devices == [{"DeviceName": "/dev/xvda", "Ebs": ebs}, {"DeviceName": "/dev/sda1", "Ebs": ebs}]


def test_without_one_the_launch_templates_disk_stands() -> None:
    asked = fleet_request(make_run(), AttemptNumber(1), 1, [Pool("m5.large", A)], IMAGES, "lt-1")

    assert "BlockDeviceMappings" not in str(asked)


def test_another_instance_profile_replaces_the_launch_templates_and_its_role_is_noted(
    create_fleet: OperationModel,
) -> None:
    run = make_run(spec=make_spec(instance_profile="gpu"))

    asked = fleet_request(run, AttemptNumber(1), 1, [Pool("m5.large", A)], IMAGES, "lt-1", role_id="AROAGPU")

    shape = create_fleet.input_shape
    assert shape is not None
    assert not ParamValidator().validate(asked, shape).has_errors()
    (override,) = asked["LaunchTemplateConfigs"][0]["Overrides"]
    assert override["IamInstanceProfile"] == {"Name": "gpu"}
    assert {"Key": "runctl:role", "Value": "AROAGPU"} in asked["TagSpecifications"][0]["Tags"]


def test_the_stacks_own_instance_profile_is_the_launch_templates() -> None:
    run = make_run(spec=make_spec(instance_profile="runctl-ssm-profile"))

    asked = fleet_request(run, AttemptNumber(1), 1, [Pool("m5.large", A)], IMAGES, "lt-1")

    assert "IamInstanceProfile" not in str(asked)
    assert "runctl:role" not in str(asked)
