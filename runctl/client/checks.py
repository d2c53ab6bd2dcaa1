"""What runs need of an account, each thing looked at by itself: `runctl doctor`."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

from botocore.exceptions import ClientError

from runctl import __version__
from runctl.aws.change_sets import ChangeSets, Stack
from runctl.aws.clients import EC2_CONFIG, LAMBDA_CONFIG, S3_CONFIG
from runctl.aws.egress import Egress
from runctl.aws.errors import aws_errors, code_of
from runctl.aws.identity import who_am_i
from runctl.aws.machines import Ec2Machines
from runctl.aws.quotas import CONCURRENCY_CODE, Quotas, quota_of
from runctl.aws.stack import read_outputs
from runctl.client.clients import Clients
from runctl.errors import AwsError, NotDeployedError, PermissionDenied, RunctlError
from runctl.model.base import Model
from runctl.model.names import STACK_NAME, Output, Parameter, Tag
from runctl.model.run import PurchaseOption

LEAST_CONCURRENCY: Final = 10
"""What a new account has (AWS Lambda Developer Guide, "Lambda quotas"); with it every run ends well, a burst of them
only later: throttled steps are tried again."""

_SPOT_ROLE: Final = "AWSServiceRoleForEC2Spot"
_SUBNET_PREFIX: Final = "NetworkSubnet"


class Health(StrEnum):
    """How a thing was found."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """It may not be looked at, or could not be."""


class Finding(Model):
    """One line of the doctor's."""

    check: str
    health: Health
    text: str
    hint: str = ""
    """How to mend it."""


class Checks:
    """Looks at one account and Region, for runs on these instance types."""

    def __init__(self, clients: Clients, instance_types: Sequence[str]) -> None:
        self._clients = clients
        self._types = tuple(instance_types)
        self._stack: Stack | None = None

    def findings(self) -> Iterator[Finding]:
        """Look at one thing after another. Where the credentials are not known, nothing else can be looked at."""
        credentials = self._looked_at("credentials", self._credentials)
        yield credentials
        if credentials.health is not Health.OK:
            return
        yield self._looked_at("region", self._region)
        yield self._looked_at("stack", self._deployed)
        if self._stack is not None:
            yield self._looked_at("bucket", self._bucket)
            yield self._looked_at("egress", self._egress)
            if self._stack.parameters.get(Parameter.AWS_BUDGET_USD, "0") != "0":
                yield self._looked_at("cost tag", self._cost_tag)
        yield self._looked_at("lambda", self._concurrency)
        for instance_type in self._types:
            yield self._looked_at(f"image {instance_type}", lambda name=instance_type: self._image(name))
            for option in PurchaseOption:
                yield self._looked_at(
                    f"{option.value} quota {instance_type}",
                    lambda name=instance_type, wanted=option: self._quota(name, wanted),
                )
        yield self._looked_at("spot role", self._spot_role)

    def quick(self, option: PurchaseOption) -> Iterator[Finding]:
        """Look at what decides whether a launch that is paid for so can succeed, in about a second.

        Not at images, which the launch itself asks for, nor at whom AWS takes us for, which is known by then.
        """
        yield self._looked_at("region", self._region)
        yield self._looked_at("stack", self._deployed)
        if self._stack is not None:
            yield self._looked_at("bucket", self._bucket)
            yield self._looked_at("egress", self._egress)
        yield self._looked_at("lambda", self._concurrency)
        for instance_type in self._types:
            yield self._looked_at(
                f"{option.value} quota {instance_type}", lambda name=instance_type: self._quota(name, option)
            )

    def _looked_at(self, check: str, look: Callable[[], "tuple[Health, str, str]"]) -> Finding:
        try:
            health, text, hint = look()
        except PermissionDenied as error:
            return Finding(
                check=check, health=Health.UNKNOWN, text=f"It may not be looked at: {error.message}", hint=error.hint
            )
        except RunctlError as error:
            # What AWS refused or could not do just now says nothing of the thing itself.
            health = Health.UNKNOWN if isinstance(error, AwsError) else Health.PROBLEM
            return Finding(check=check, health=health, text=error.message, hint=error.hint)
        return Finding(check=check, health=health, text=text, hint=hint)

    def _credentials(self) -> tuple[Health, str, str]:
        identity = who_am_i(self._clients.get("sts"))
        return _ok(f"{identity.arn} of account {identity.account}.")

    def _region(self) -> tuple[Health, str, str]:
        region = self._clients.region
        with aws_errors():
            found: list[dict[str, Any]] = self._clients.get("ec2", EC2_CONFIG).describe_regions(
                RegionNames=[region], AllRegions=True
            )["Regions"]
        if found and found[0].get("OptInStatus") == "not-opted-in":
            return _problem(
                f"{region} is not switched on in this account.",
                f"aws account enable-region --region-name {region}, or choose another with --region.",
            )
        return _ok(f"{region}.")

    def _deployed(self) -> tuple[Health, str, str]:
        stack = ChangeSets(self._clients.get("cloudformation")).stack()
        if stack is None or stack.was_never_made:
            return _problem(f"There is no stack {STACK_NAME} here.", "Deploy it: runctl deploy")
        try:
            outputs = read_outputs(self._clients.get("cloudformation"), hint="Deploy this version: runctl deploy")
        except NotDeployedError as error:
            return _problem(error.message, error.hint)
        self._stack = stack
        if outputs.version != __version__:
            return _problem(
                f"The stack is of version {outputs.version}, this command line of {__version__}.",
                "Bring the older one up to date: runctl deploy, or pip install --upgrade runctl",
            )
        return _ok(f"{stack.status}, version {outputs.version}.")

    def _bucket(self) -> tuple[Health, str, str]:
        assert self._stack is not None
        name = self._stack.outputs[Output.BUCKET]
        with aws_errors():
            try:
                self._clients.get("s3", S3_CONFIG).head_bucket(Bucket=name)
            except ClientError as error:
                if code_of(error) in {"403", "Forbidden"}:
                    raise PermissionDenied(f"{name}: HeadBucket answers 403.", hint="Ask for s3:ListBucket.") from error
                if code_of(error) not in {"404", "NoSuchBucket"}:
                    raise
                return _problem(
                    f"The stack's bucket {name} is gone: no run can begin, and what was trained is lost.",
                    "Begin anew: runctl destroy, then runctl deploy",
                )
        return _ok(f"{name}.")

    def _egress(self) -> tuple[Health, str, str]:
        subnets = self._subnets()
        egress = Egress(self._clients.get("ec2", EC2_CONFIG))
        problems = [problem for subnet in subnets if (problem := egress.problem(subnet)) is not None]
        if problems:
            return _problem(
                " ".join(problems),
                "Give the subnet a default route to a NAT gateway, or to an internet gateway and public addresses.",
            )
        return _ok(f"{len(subnets)} subnets have a way out.")

    def _cost_tag(self) -> tuple[Health, str, str]:
        """Looked at where an AWS budget goes by it: each question of Cost Explorer costs a cent (AWS Cost Management
        pricing). Only the account that pays may ask."""
        with aws_errors():
            found: list[dict[str, Any]] = self._clients.get("ce").list_cost_allocation_tags(TagKeys=[Tag.STACK.value])[
                "CostAllocationTags"
            ]
        if not found:
            return _problem(
                f"No bill has the tag {Tag.STACK} yet: the AWS budget sees nothing.",
                "A day after the first machine, activate it: Billing and Cost Management, Cost allocation tags",
            )
        if found[0]["Status"] != "Active":
            return _problem(
                f"The tag {Tag.STACK} is not active for cost allocation: the AWS budget sees nothing.",
                "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status "
                f"TagKey={Tag.STACK},Status=Active",
            )
        return _ok(f"{Tag.STACK} is active for cost allocation.")

    def _subnets(self) -> list[str]:
        """Those that were given to the stack, or its own."""
        assert self._stack is not None
        given = self._stack.parameters.get(Parameter.SUBNET_IDS, "")
        if given:
            return [name.strip() for name in given.split(",")]
        resources = ChangeSets(self._clients.get("cloudformation")).resources()
        return [
            physical_id
            for logical_id, physical_id in resources.items()
            if logical_id.startswith(_SUBNET_PREFIX) and physical_id.startswith("subnet-")
        ]

    def _concurrency(self) -> tuple[Health, str, str]:
        with aws_errors():
            limits: dict[str, Any] = self._clients.get("lambda", LAMBDA_CONFIG).get_account_settings()["AccountLimit"]
        free = limits["UnreservedConcurrentExecutions"]
        if free < LEAST_CONCURRENCY:
            return _problem(
                f"Only {free} functions may run at once, of {limits['ConcurrentExecutions']} in the account.",
                f"Ask for more concurrent executions of Lambda in Service Quotas ({CONCURRENCY_CODE}), or free what "
                "other functions have reserved.",
            )
        return _ok(f"{free} functions may run at once.")

    def _image(self, instance_type: str) -> tuple[Health, str, str]:
        machines = Ec2Machines(self._clients.get("ec2", EC2_CONFIG), self._clients.get("ssm"))
        (machine_type,) = machines.machine_types([instance_type])
        return _ok(f"{machines.image_id(machine_type)} ({machine_type.architecture}).")

    def _quota(self, instance_type: str, option: PurchaseOption) -> tuple[Health, str, str]:
        quota = quota_of(instance_type, option)
        if quota is None:
            return Health.UNKNOWN, f"Which quota {instance_type} counts towards is not known.", "See Service Quotas."
        quotas = Quotas(self._clients.get("service-quotas"), self._clients.get("ec2", EC2_CONFIG))
        needed, value = quotas.vcpus(instance_type), quotas.value(quota)
        text = f"{value:.0f} vCPUs ({quota.name}); one {instance_type} has {needed}."
        if value < needed:
            return _problem(
                text,
                "Ask for more: aws service-quotas request-service-quota-increase --service-code ec2 "
                f"--quota-code {quota.code} --desired-value {needed}",
            )
        return _ok(text)

    def _spot_role(self) -> tuple[Health, str, str]:
        with aws_errors():
            try:
                self._clients.get("iam").get_role(RoleName=_SPOT_ROLE)
            except ClientError as error:
                if code_of(error) != "NoSuchEntity":
                    raise
                return _ok(f"{_SPOT_ROLE} is not there yet; the first spot machine makes it.")
        return _ok(f"{_SPOT_ROLE}.")


def _ok(text: str) -> tuple[Health, str, str]:
    return Health.OK, text, ""


def _problem(text: str, hint: str) -> tuple[Health, str, str]:
    return Health.PROBLEM, text, hint
