"""What is kept: the two tables and the bucket."""

from typing import Final

from aws_cdk import CfnCondition, CfnDeletionPolicy, Duration, Fn, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from runctl.model.keys import CODE_PREFIX, HANDOFF_PREFIX, PACKAGES_PREFIX
from runctl.model.names import Index
from runctl.model.timing import CODE_KEPT

HANDOFF_KEPT: Final = Duration.days(31)
"""Longer than the longest run (RunSpec.max_runtime_s allows 30 days), for a restarted agent reads its hand-off again.
`Conclude run` removes it earlier; this is for what was never concluded."""

PACKAGES_KEPT: Final = Duration.days(14)
"""What packages save a later attempt is minutes; a run that is interrupted after longer installs them anew."""

UPLOAD_ABANDONED: Final = Duration.days(2)
"""Parts of an unfinished upload are paid for and never seen; no upload of a machine takes that long."""


class Storage(Construct):
    """Tables `runs` and `budgets`, and one private bucket."""

    def __init__(self, scope: Construct, construct_id: str, *, is_protected: CfnCondition) -> None:
        super().__init__(scope, construct_id)
        self.runs = self._table("Runs", is_protected)
        self._index_runs()
        self.budgets = self._table("Budgets", is_protected)
        self.bucket = self._bucket()

    def _table(self, name: str, is_protected: CfnCondition) -> dynamodb.Table:
        """`Table`, not `TableV2`: cfn-lint checks its keys and every emulator knows it.

        The policy is Delete, for deletion protection by parameter is what guards the data: a protected table makes
        the deletion of the stack fail instead of leaving a table behind that nothing points to. A replacement never
        deletes.
        """
        table = dynamodb.Table(
            self,
            name,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )
        resource = table.node.default_child
        assert isinstance(resource, dynamodb.CfnTable)
        resource.add_property_override(
            "DeletionProtectionEnabled", Fn.condition_if(is_protected.logical_id, True, False)
        )
        resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        return table

    def _index_runs(self) -> None:
        """The three questions that are not asked by run id: whose machine is this, what is open, what is there."""
        text = dynamodb.AttributeType.STRING
        created = dynamodb.Attribute(name="created_at", type=text)
        self.runs.add_global_secondary_index(
            index_name=Index.BY_INSTANCE,
            partition_key=dynamodb.Attribute(name="instance_id", type=text),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["number"],
        )
        self.runs.add_global_secondary_index(
            index_name=Index.OPEN_RUNS,
            partition_key=dynamodb.Attribute(name="open", type=text),
            sort_key=created,
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self.runs.add_global_secondary_index(
            index_name=Index.BY_PROJECT,
            partition_key=dynamodb.Attribute(name="project", type=text),
            sort_key=created,
            projection_type=dynamodb.ProjectionType.ALL,
        )

    def _bucket(self) -> s3.Bucket:
        """Not versioned: what lies below `code/` is named by content and an attempt's keys are written once, so that a
        second version is never a rescue, only a checkpoint that was deleted and is still paid for.

        `code/` expires by age, and a listing may be younger than the packs that it names: so whoever uses an object
        again after CODE_RENEWED_AFTER renews it (`runctl.client.code_sync`). `runs/` is the user's; it outlives the
        stack.
        """
        return s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=False,
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(id="abandoned-uploads", abort_incomplete_multipart_upload_after=UPLOAD_ABANDONED),
                s3.LifecycleRule(id="hand-offs", prefix=HANDOFF_PREFIX, expiration=HANDOFF_KEPT),
                s3.LifecycleRule(id="code", prefix=CODE_PREFIX, expiration=Duration.days(CODE_KEPT.days)),
                s3.LifecycleRule(id="packages", prefix=PACKAGES_PREFIX, expiration=PACKAGES_KEPT),
            ],
        )
