"""What is kept, and how it is guarded."""

from collections.abc import Callable

import pytest

from runctl.model.names import Index, Parameter
from runctl.model.timing import CODE_KEPT
from stacks.constructs.storage import HANDOFF_KEPT
from tests.infrastructure.deployed_template import DeployedTemplate

TABLES = ("StorageRuns", "StorageBudgets")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_can_be_restored_and_is_paid_by_use(template: DeployedTemplate, table: str) -> None:
    made = template.of_type("AWS::DynamoDB::Table")[table]

    assert made["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert made["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in made["KeySchema"]] == ["pk", "sk"]


@pytest.mark.parametrize(("protection", "protected"), [("true", True), ("false", False)])
def test_deletion_protection_is_a_parameter(
    deploy: Callable[..., DeployedTemplate], protection: str, protected: bool
) -> None:
    tables = deploy(**{Parameter.DELETION_PROTECTION: protection}).of_type("AWS::DynamoDB::Table")

    assert {table["DeletionProtectionEnabled"] for table in tables.values()} == {protected}


def test_tables_are_protected_unless_somebody_says_otherwise(template: DeployedTemplate) -> None:
    tables = template.of_type("AWS::DynamoDB::Table")

    assert all(table["DeletionProtectionEnabled"] for table in tables.values())


def test_runs_are_found_by_machine_by_openness_and_by_project(template: DeployedTemplate) -> None:
    indexes = template.of_type("AWS::DynamoDB::Table")["StorageRuns"]["GlobalSecondaryIndexes"]

    assert {index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]] for index in indexes} == {
        Index.BY_INSTANCE: ["instance_id"],
        Index.OPEN_RUNS: ["open", "created_at"],
        Index.BY_PROJECT: ["project", "created_at"],
    }


def test_the_bucket_is_private_and_takes_tls_only(template: DeployedTemplate) -> None:
    (bucket,) = template.of_type("AWS::S3::Bucket").values()
    (policy,) = template.of_type("AWS::S3::BucketPolicy").values()
    denied = [s["Condition"] for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert {"Bool": {"aws:SecureTransport": "false"}} in denied
    assert bucket["BucketEncryption"]


def test_the_bucket_forgets_hand_offs_old_code_packages_and_unfinished_uploads_only(
    template: DeployedTemplate,
) -> None:
    (bucket,) = template.of_type("AWS::S3::Bucket").values()
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}

    assert set(rules) == {"abandoned-uploads", "hand-offs", "code", "packages"}
    assert rules["hand-offs"]["Prefix"] == "handoff/"
    assert rules["hand-offs"]["ExpirationInDays"] == HANDOFF_KEPT.to_days()
    assert (rules["code"]["Prefix"], rules["code"]["ExpirationInDays"]) == ("code/", CODE_KEPT.days)
    assert (rules["packages"]["Prefix"], rules["packages"]["ExpirationInDays"]) == ("packages/", 14)
    assert "ExpirationInDays" not in rules["abandoned-uploads"]


def test_a_hand_off_outlives_the_longest_run() -> None:
    longest_run_days = 30

    assert HANDOFF_KEPT.to_days() > longest_run_days


def test_checkpoints_outlive_the_stack(template: DeployedTemplate) -> None:
    assert template.body["Resources"]["StorageBucket"]["DeletionPolicy"] == "Retain"
