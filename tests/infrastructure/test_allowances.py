"""What a person allows at deployment, and that nothing is allowed beyond it."""

from collections.abc import Callable

import pytest

from runctl.model.names import Parameter, Variable
from tests.infrastructure.deployed_template import DeployedTemplate
from tests.infrastructure.policies import conditions_of, resources_of

LAUNCHER = "FunctionsLaunchMachineRole"
MACHINE = "MachineRole"

Deploy = Callable[..., DeployedTemplate]

TO_EC2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


def _with(deploy: Deploy, parameter: Parameter, value: str) -> DeployedTemplate:
    return deploy(**{parameter.value: value})


@pytest.mark.parametrize("names", [("data",), ("data", "more"), ("a", "b", "c")], ids=len)
def test_machines_read_the_named_buckets(deploy: Deploy, template: DeployedTemplate, names: tuple[str, ...]) -> None:
    arns = [f"arn:aws:s3:::{name}" for name in names]

    given = _with(deploy, Parameter.DATA_BUCKETS, ",".join(arns))

    read = resources_of(given, MACHINE, "s3:GetObject") - resources_of(template, MACHINE, "s3:GetObject")
    assert read == {f"{arn}/*" for arn in arns}
    assert resources_of(given, MACHINE, "s3:ListBucket") == set(arns)


def test_named_buckets_are_read_and_never_written(deploy: Deploy, template: DeployedTemplate) -> None:
    given = _with(deploy, Parameter.DATA_BUCKETS, "arn:aws:s3:::data")

    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert resources_of(given, MACHINE, action) == resources_of(template, MACHINE, action)


def test_machines_list_no_bucket_without_being_allowed(template: DeployedTemplate) -> None:
    assert resources_of(template, MACHINE, "s3:ListBucket") == set()


def test_machines_have_the_named_policies(deploy: Deploy) -> None:
    arns = ["arn:aws:iam::aws:policy/AmazonFSxReadOnlyAccess", "arn:aws:iam::123456789012:policy/data"]

    given = _with(deploy, Parameter.MACHINE_POLICIES, ",".join(arns))

    assert given.of_type("AWS::IAM::Role")[MACHINE]["ManagedPolicyArns"] == arns


def test_machines_have_no_managed_policy_by_default(template: DeployedTemplate) -> None:
    assert "ManagedPolicyArns" not in template.of_type("AWS::IAM::Role")[MACHINE]


def test_named_roles_are_passed_to_ec2_only(deploy: Deploy, template: DeployedTemplate) -> None:
    role = "arn:aws:iam::123456789012:role/gpu"

    given = _with(deploy, Parameter.PASSED_ROLES, role)

    passed = resources_of(given, LAUNCHER, "iam:PassRole") - resources_of(template, LAUNCHER, "iam:PassRole")
    before, after = (conditions_of(each, LAUNCHER, "iam:PassRole") for each in (template, given))
    assert passed == {role}
    # The launcher passes the stack's own role to the scheduler too, for the stop at a run's limits.
    assert after.count(TO_EC2) == before.count(TO_EC2) + 1
    assert len(after) == len(before) + 1


def test_named_roles_may_do_what_the_agent_does(deploy: Deploy, template: DeployedTemplate) -> None:
    given = deploy(**{Parameter.PASSED_ROLES: "arn:aws:iam::123456789012:role/gpu", Parameter.PASSED_ROLE_NAMES: "gpu"})

    policies = given.of_type("AWS::IAM::Policy").values()
    (others,) = [policy["PolicyDocument"] for policy in policies if policy["Roles"] == ["gpu"]]
    (own,) = [
        policy["PolicyDocument"]
        for policy in template.of_type("AWS::IAM::Policy").values()
        if policy["Roles"] == [f"<{MACHINE}>"]
    ]
    assert others == own


def test_runs_may_name_the_stacks_own_profile_and_the_named_ones(deploy: Deploy, template: DeployedTemplate) -> None:
    given = deploy(
        **{Parameter.PASSED_ROLES: "arn:aws:iam::123456789012:role/gpu", Parameter.INSTANCE_PROFILES: "gpu:AROA1"}
    )

    listed = [
        found.of_type("AWS::Lambda::Function")["FunctionsLaunchMachine"]["Environment"]["Variables"][
            Variable.INSTANCE_PROFILES
        ]
        for found in (template, given)
    ]
    own = "<MachineProfile>:<MachineRole.RoleId>"
    assert listed == [own, f"{own},gpu:AROA1"]


def test_the_profile_has_another_name_where_that_is_asked_for(deploy: Deploy) -> None:
    given = _with(deploy, Parameter.PROFILE_NAME, "runctl-ssm-profile-eu-west-1")

    (profile,) = given.of_type("AWS::IAM::InstanceProfile").values()
    assert profile["InstanceProfileName"] == "runctl-ssm-profile-eu-west-1"
