"""Deploying the assembly into an account: archives to a bucket, the template through a change set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from runctl.assembly import Assembly
from runctl.aws.asset_bucket import AssetBucket, asset_bucket_name
from runctl.aws.change_sets import ChangeSet, ChangeSets, Stack, StackEvent
from runctl.aws.clients import S3_CONFIG
from runctl.aws.identity import Identity, who_am_i
from runctl.aws.instance_profiles import is_taken, role_in
from runctl.aws.table_protection import unprotect_tables
from runctl.client.clients import Clients
from runctl.errors import DeploymentFailed, RunctlError, UsageError
from runctl.model.base import Model
from runctl.model.names import MACHINE_PROFILE, STACK_NAME, Parameter

_DONE: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"})
_STUCK: Final = frozenset({"UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"})

_EVENTS_HINT: Final = "All steps: the CloudFormation console, or aws cloudformation describe-stack-events"


@dataclass(frozen=True)
class Site:
    """What a target brings to a deployment of its own."""

    asset_bucket: str | None = None
    """Name of the bucket for archives; None: made of account and Region."""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """Values that the target gives to the template."""


class Choices(Model):
    """What a person wants of the deployment. None: as it was, or the template's default. Empty: none."""

    vpc_id: str | None = None
    subnet_ids: tuple[str, ...] | None = None
    data_buckets: tuple[str, ...] | None = None
    """Names of buckets that machines may read."""
    machine_policies: tuple[str, ...] | None = None
    """ARNs of managed policies."""
    instance_profiles: tuple[str, ...] | None = None
    """Names of instance profiles that machines may be launched with."""
    has_dashboard: bool | None = None
    notify_email: str | None = None
    aws_budget_usd: Decimal | None = None
    """Amount of a monthly budget of AWS's own; 0 takes it away."""


@dataclass(frozen=True)
class DeploymentPlan:
    """What deploying would do. Nothing of the stack has been touched."""

    identity: Identity
    region: str
    bucket: str
    made_bucket: bool
    stack: Stack | None
    """As it stands; None before the first deployment."""
    change_set: ChangeSet | None
    """None: the stack is as it is wanted."""
    parameters: dict[str, str]
    """All that the template will have, defaults left out."""


class Deploying:
    """Deploys one assembly. Talks of its steps to `say`."""

    def __init__(
        self,
        clients: Clients,
        assembly: Assembly,
        site: Site,
        *,
        say: Callable[[str], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clients = clients
        self._assembly = assembly
        self._site = site
        self._say = say
        self._now = now
        self._change_sets = ChangeSets(clients.get("cloudformation"))

    @property
    def template(self) -> Mapping[str, Any]:
        """What is deployed."""
        return self._assembly.template

    @property
    def region(self) -> str:
        """The Region that is deployed to."""
        return self._clients.region

    def identity(self) -> Identity:
        """Say which account is deployed to."""
        return who_am_i(self._clients.get("sts"))

    def plan(self, choices: Choices) -> DeploymentPlan:
        """Upload the archives and let CloudFormation say what would change. Raises DeploymentFailed, UsageError."""
        identity = self.identity()
        stack = self._usable(self._change_sets.stack())
        is_first = stack is None or stack.was_never_made
        wanted = {
            **self._site.parameters,
            **self._asked(choices, identity),
            **(self._own_profile() if is_first else {}),
        }
        bucket = self._bucket(identity)
        made_bucket = bucket.ensure()
        try:
            given = {**wanted, Parameter.ASSET_BUCKET: bucket.name}
            parameters = {str(name): value for name, value in given.items() if name in self._assembly.parameter_names}
            known = {} if is_first or stack is None else stack.parameters
            keep = sorted((known.keys() & self._assembly.parameter_names) - parameters.keys())
            change_set = self._change_sets.prepare(
                f"runctl-{self._now():%Y%m%d-%H%M%S-%f}",
                self._upload(bucket),
                parameters,
                keep,
                creates=is_first,
            )
        except RunctlError:
            if made_bucket:
                bucket.clear()
            raise
        return DeploymentPlan(
            identity=identity,
            region=self.region,
            bucket=bucket.name,
            made_bucket=made_bucket,
            stack=stack,
            change_set=change_set,
            parameters={**{name: known[name] for name in keep}, **parameters},
        )

    def discard(self, plan: DeploymentPlan) -> None:
        """Leave everything as it was before the plan, but for an empty bucket: S3 would keep the name of a deleted one
        for hours."""
        if plan.change_set is not None:
            self._change_sets.discard(plan.change_set)
        if plan.made_bucket:
            self._bucket(plan.identity).clear()

    def apply(self, plan: DeploymentPlan, on_event: Callable[[StackEvent], None] = lambda _event: None) -> Stack:
        """Carry the plan out and answer the stack. Raises DeploymentFailed; then everything is as it was before."""
        change_set = plan.change_set
        if change_set is None:
            raise ValueError("a plan without a change has nothing to carry out")
        stack = self._change_sets.execute(change_set, on_event)
        if stack.status not in _DONE:
            raise self._failure(plan, stack, creates=change_set.creates, on_event=on_event)
        if stack.parameters.get(Parameter.DELETION_PROTECTION) == "true":
            self._change_sets.protect(is_protected=True)
        return stack

    def _usable(self, stack: Stack | None) -> Stack | None:
        """Wait for nobody, and clear away a stack that never came to be."""
        if stack is None:
            return None
        if stack.is_changing:
            raise DeploymentFailed(
                f"The stack {STACK_NAME} is being changed by somebody else now: it is {stack.status}.",
                hint="Wait until that has ended, then deploy again.",
            )
        if stack.status in _STUCK:
            raise DeploymentFailed(
                f"The stack {STACK_NAME} is {stack.status}: {stack.reason or 'no reason was given'}",
                hint="DELETE_FAILED: runctl destroy. UPDATE_ROLLBACK_FAILED: aws cloudformation "
                f"continue-update-rollback --stack-name {STACK_NAME}",
            )
        if not stack.is_half_made:
            return stack
        self._say(f"Deleting what an earlier deployment left: the stack is {stack.status}.")
        ended = self._delete(stack.stack_id)
        if ended.status != "DELETE_COMPLETE":
            raise DeploymentFailed(
                f"What an earlier deployment left cannot be deleted: {self._told(ended)}", hint=_EVENTS_HINT
            )
        return None

    def _bucket(self, identity: Identity) -> AssetBucket:
        return AssetBucket(
            self._clients.get("s3", S3_CONFIG),
            self._site.asset_bucket or asset_bucket_name(identity.account, self.region),
            account=identity.account,
            region=self.region,
            partition=identity.partition,
        )

    def _upload(self, bucket: AssetBucket) -> str:
        """Upload archives and template; answer where the template lies."""
        sent = [bucket.upload(asset.key, asset.content) for asset in self._assembly.assets]
        if any(sent):
            self._say(f"Uploaded {sum(sent)} of {len(sent)} archives to {bucket.name}.")
        key = f"{self._assembly.template_sha256}.json"
        bucket.upload(key, self._assembly.template_text.encode())
        return bucket.url(key)

    def _asked(self, choices: Choices, identity: Identity) -> dict[Parameter, str]:
        """Put what a person chose into the template's words."""
        if (choices.vpc_id is None) != (choices.subnet_ids is None):
            raise UsageError(
                "A VPC and its subnets go together.", hint="Give both: --vpc vpc-… --subnets subnet-…,subnet-…"
            )
        asked: dict[Parameter, str] = {}
        if choices.vpc_id is not None and choices.subnet_ids is not None:
            asked[Parameter.VPC_ID] = choices.vpc_id
            asked[Parameter.SUBNET_IDS] = ",".join(choices.subnet_ids)
        if choices.data_buckets is not None:
            asked[Parameter.DATA_BUCKETS] = ",".join(
                f"arn:{identity.partition}:s3:::{name}" for name in choices.data_buckets
            )
        if choices.machine_policies is not None:
            asked[Parameter.MACHINE_POLICIES] = ",".join(choices.machine_policies)
        if choices.instance_profiles is not None:
            roles = [role_in(self._clients.get("iam"), name) for name in choices.instance_profiles]
            asked[Parameter.PASSED_ROLES] = ",".join(role.arn for role in roles)
            asked[Parameter.PASSED_ROLE_NAMES] = ",".join(role.name for role in roles)
            asked[Parameter.INSTANCE_PROFILES] = ",".join(f"{role.profile}:{role.role_id}" for role in roles)
        if choices.has_dashboard is not None:
            asked[Parameter.DASHBOARD] = "true" if choices.has_dashboard else "false"
        if choices.notify_email is not None:
            asked[Parameter.NOTIFY_EMAIL] = choices.notify_email
        if choices.aws_budget_usd is not None:
            asked[Parameter.AWS_BUDGET_USD] = _amount(choices.aws_budget_usd)
        return asked

    def _own_profile(self) -> dict[Parameter, str]:
        """The name of the first deployment's instance profile: IAM has one name space, and another Region's stack may
        have taken the usual one."""
        if not is_taken(self._clients.get("iam"), MACHINE_PROFILE):
            return {}
        name = f"{MACHINE_PROFILE}-{self.region}"
        self._say(
            f"Another deployment of this account has the instance profile {MACHINE_PROFILE}; this one gets {name}."
        )
        return {Parameter.PROFILE_NAME: name}

    def _failure(
        self, plan: DeploymentPlan, stack: Stack, *, creates: bool, on_event: Callable[[StackEvent], None]
    ) -> DeploymentFailed:
        """Name what failed; delete a stack that never came to be."""
        why = self._told(stack)
        if not creates:
            after = "It was rolled back: all is as before." if "ROLLBACK_COMPLETE" in stack.status else ""
            return DeploymentFailed(f"The update of {STACK_NAME} failed: {why} {after}".rstrip(), hint=_EVENTS_HINT)
        ended = self._delete(stack.stack_id, on_event)
        if ended.status != "DELETE_COMPLETE":
            return DeploymentFailed(
                f"{STACK_NAME} could not be created: {why} What was made of it could not be deleted: "
                f"{self._told(ended)}",
                hint="Remove what is named, then: runctl destroy",
            )
        if plan.made_bucket:
            self._bucket(plan.identity).clear()
        return DeploymentFailed(
            f"{STACK_NAME} could not be created: {why} What was made of it was deleted again.",
            hint="Mend what is named, then deploy again; runctl doctor shows what else stands in the way.",
        )

    def _delete(self, stack_id: str, on_event: Callable[[StackEvent], None] = lambda _event: None) -> Stack:
        """Delete a stack that never came to be. Its tables, which nobody has written to, are protected already."""
        unprotect_tables(self._clients.get("cloudformation"), self._clients.get("dynamodb"), stack_id)
        return self._change_sets.delete(stack_id, on_event)

    def _told(self, stack: Stack) -> str:
        """The first resource that failed and why, in CloudFormation's words."""
        failures = self._change_sets.failures(stack.stack_id)
        if not failures:
            return f"it is {stack.status}: {stack.reason or 'CloudFormation names no resource that failed'}."
        first = failures[0]
        reason = first.reason.rstrip(".") or "no reason was given"
        return f"{first.logical_id} ({first.resource_type}): {reason}."


def _amount(usd: Decimal) -> str:
    """A budget's amount as the template takes it: whole cents. Raises UsageError."""
    cents = usd.quantize(Decimal("0.01"))
    if cents != usd or not 0 <= usd < 10**9:
        raise UsageError(f"An AWS budget of {usd} US dollars cannot be.", hint="Write for example: --aws-budget 500")
    return f"{cents.normalize():f}"
