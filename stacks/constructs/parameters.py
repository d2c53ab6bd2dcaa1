"""The template's parameters: all that may differ between two deployments."""

from dataclasses import dataclass
from typing import Final

from aws_cdk import CfnCondition, CfnParameter, CfnRule, CfnRuleAssertion, Fn, Stack

from runctl.model.names import MACHINE_PROFILE, Parameter

ZONE_COUNT: Final = "ZoneCount"
MIN_ZONES: Final = 2
MAX_ZONES: Final = 6
DEFAULT_ZONES: Final = 3

_BOOTSTRAP_BUCKET: Final = "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"
"""Where `cdk bootstrap` keeps assets (AWS CDK Developer Guide, "Customize CDK bootstrapping": default qualifier)."""


@dataclass(frozen=True)
class Parameters:
    """References to the parameters, as strings that CloudFormation fills in, and the conditions made of them."""

    asset_bucket: str
    vpc_id: str
    subnet_ids: str
    zone_count: CfnParameter
    cost_watch_rate: str
    reaper_rate: str
    daily_digest: str
    weekly_digest: str
    notify_email: str
    aws_budget_usd: str
    data_buckets: str
    machine_policies: str
    passed_roles: str
    passed_role_names: str
    instance_profiles: str
    machine_profile: str
    makes_network: CfnCondition
    is_protected: CfnCondition
    has_dashboard: CfnCondition
    has_email: CfnCondition
    has_aws_budget: CfnCondition
    has_data_buckets: CfnCondition
    has_machine_policies: CfnCondition
    has_passed_roles: CfnCondition


def declare_parameters(stack: Stack) -> Parameters:
    """Declare every parameter with its default, and the conditions that depend on nothing else."""

    def text(name: str, description: str, default: str, **rules: object) -> CfnParameter:
        return CfnParameter(stack, name, type="String", description=description, default=default, **rules)  # type: ignore[arg-type]

    def flag(name: str, description: str, default: str) -> CfnParameter:
        return text(name, description, default, allowed_values=["true", "false"])

    asset_bucket = text(
        Parameter.ASSET_BUCKET, "Bucket that holds the Lambda and agent archives. Empty: the CDK bootstrap bucket.", ""
    )
    vpc_id = text(Parameter.VPC_ID, "VPC for the machines. Empty: a network is created.", "")
    subnet_ids = text(
        Parameter.SUBNET_IDS, "Subnets of VpcId, separated by commas; they need a way out to the internet.", ""
    )
    zone_count = text(
        ZONE_COUNT,
        "Availability Zones of the created network, no more than the Region has; more zones are more spot pools.",
        str(DEFAULT_ZONES),
        allowed_values=[str(count) for count in range(MIN_ZONES, MAX_ZONES + 1)],
    )
    protection = flag(Parameter.DELETION_PROTECTION, "Whether the tables refuse to be deleted.", "true")
    dashboard = flag(Parameter.DASHBOARD, "Whether to create a CloudWatch dashboard, which is paid for.", "false")
    rate = r"^(rate\(.+\)|cron\(.+\))$"
    cost_watch_rate = text(
        Parameter.COST_WATCH_RATE, "How often running costs are looked at.", "rate(5 minutes)", allowed_pattern=rate
    )
    reaper_rate = text(
        Parameter.REAPER_RATE,
        "How often machines without a run are looked for.",
        "rate(15 minutes)",
        allowed_pattern=rate,
    )
    daily_digest, weekly_digest = (
        text(name, f"When the {period} report is sent (UTC).", default, allowed_pattern=rate)
        for name, period, default in (
            (Parameter.DAILY_DIGEST, "daily", "cron(0 7 * * ? *)"),
            (Parameter.WEEKLY_DIGEST, "weekly", "cron(15 7 ? * MON *)"),
        )
    )
    email = text(Parameter.NOTIFY_EMAIL, "Address that gets notifications and alarms. Empty: none.", "")
    aws_budget = text(
        Parameter.AWS_BUDGET_USD,
        "Monthly AWS budget in US dollars over all that bears the tag runctl:stack. 0: none.",
        "0",
        allowed_pattern=r"^[0-9]{1,9}(\.[0-9]{1,2})?$",
    )
    data_buckets = text(
        Parameter.DATA_BUCKETS, "ARNs of buckets that machines may read, separated by commas. Empty: none.", ""
    )
    machine_policies = text(
        Parameter.MACHINE_POLICIES,
        "ARNs of managed policies that machines have beside their own, separated by commas. Empty: none.",
        "",
    )
    passed_roles = text(
        Parameter.PASSED_ROLES,
        "ARNs of roles that machines may be launched with beside their own, separated by commas. Empty: none.",
        "",
    )
    passed_role_names = text(
        Parameter.PASSED_ROLE_NAMES, "Names of the same roles: they get what the agent needs. Empty: none.", ""
    )
    instance_profiles = text(
        Parameter.INSTANCE_PROFILES,
        "Instance profiles with those roles, each as name:role-id, separated by commas. Empty: none.",
        "",
    )
    machine_profile = text(
        Parameter.PROFILE_NAME,
        "Name of the machines' instance profile; IAM has one name space for all Regions.",
        MACHINE_PROFILE,
        allowed_pattern=r"^[\w+=.@-]{1,128}$",
    )

    _refuse_half_a_network(stack, vpc_id, subnet_ids)
    has_asset_bucket = _unless_empty(stack, "HasAssetBucket", asset_bucket)
    return Parameters(
        asset_bucket=Fn.condition_if(
            has_asset_bucket.logical_id, asset_bucket.value_as_string, Fn.sub(_BOOTSTRAP_BUCKET)
        ).to_string(),
        vpc_id=vpc_id.value_as_string,
        subnet_ids=subnet_ids.value_as_string,
        zone_count=zone_count,
        cost_watch_rate=cost_watch_rate.value_as_string,
        reaper_rate=reaper_rate.value_as_string,
        daily_digest=daily_digest.value_as_string,
        weekly_digest=weekly_digest.value_as_string,
        notify_email=email.value_as_string,
        aws_budget_usd=aws_budget.value_as_string,
        makes_network=CfnCondition(stack, "MakesNetwork", expression=Fn.condition_equals(vpc_id.value_as_string, "")),
        is_protected=CfnCondition(
            stack, "IsProtected", expression=Fn.condition_equals(protection.value_as_string, "true")
        ),
        has_dashboard=CfnCondition(
            stack, "HasDashboard", expression=Fn.condition_equals(dashboard.value_as_string, "true")
        ),
        has_email=_unless_empty(stack, "HasEmail", email),
        has_aws_budget=CfnCondition(
            stack,
            "HasAwsBudget",
            expression=Fn.condition_not(Fn.condition_equals(aws_budget.value_as_string, "0")),
        ),
        data_buckets=data_buckets.value_as_string,
        machine_policies=machine_policies.value_as_string,
        passed_roles=passed_roles.value_as_string,
        passed_role_names=passed_role_names.value_as_string,
        instance_profiles=instance_profiles.value_as_string,
        machine_profile=machine_profile.value_as_string,
        has_data_buckets=_unless_empty(stack, "HasDataBuckets", data_buckets),
        has_machine_policies=_unless_empty(stack, "HasMachinePolicies", machine_policies),
        has_passed_roles=_unless_empty(stack, "HasPassedRoles", passed_roles),
    )


def _unless_empty(stack: Stack, name: str, parameter: CfnParameter) -> CfnCondition:
    return CfnCondition(stack, name, expression=Fn.condition_not(Fn.condition_equals(parameter.value_as_string, "")))


def _refuse_half_a_network(stack: Stack, vpc_id: CfnParameter, subnet_ids: CfnParameter) -> None:
    """CloudFormation checks a rule before it creates anything: both parameters, or neither."""
    vpc_empty = Fn.condition_equals(vpc_id.value_as_string, "")
    subnets_empty = Fn.condition_equals(subnet_ids.value_as_string, "")
    CfnRule(
        stack,
        "NetworkIsWholeOrNone",
        assertions=[
            CfnRuleAssertion(
                assert_=Fn.condition_or(
                    Fn.condition_and(vpc_empty, subnets_empty),
                    Fn.condition_and(Fn.condition_not(vpc_empty), Fn.condition_not(subnets_empty)),
                ),
                assert_description="Give both VpcId and SubnetIds, or neither for a network of the stack's own.",
            )
        ],
    )
