"""Deploying through a change set: what is planned, what is carried out, and what a failure leaves."""

from pathlib import Path
from typing import Any

import pytest

from runctl.assembly import load_assembly
from runctl.aws.asset_bucket import asset_bucket_name
from runctl.aws.change_sets import ChangeSets, StackEvent
from runctl.client.clients import Clients, find_clients
from runctl.client.deploying import Choices, Deploying, Site
from runctl.client.destroying import Destroying
from runctl.errors import DeploymentFailed
from runctl.local.cloud import LocalCloud
from runctl.local.deployer import ASSET_BUCKET, PARAMETERS
from tests.local.deployment.stacks import SMALL, WITH_TABLE, with_broken_function
from tests.local.emulator.assembly import write_assembly

pytestmark = pytest.mark.local_cloud

BUCKET = asset_bucket_name("123456789012", "us-east-1")


def _deploying(clients: Clients, folder: Path, template: dict[str, Any]) -> Deploying:
    return Deploying(clients, load_assembly(write_assembly(folder / "assembly", template)), Site())


def _buckets(clients: Clients) -> set[str]:
    return {bucket["Name"] for bucket in clients.get("s3").list_buckets()["Buckets"]}


def _stack_status(clients: Clients) -> str | None:
    found = [
        stack["StackStatus"]
        for stack in clients.get("cloudformation").describe_stacks()["Stacks"]
        if stack["StackName"] == "runctl" and stack["StackStatus"] != "DELETE_COMPLETE"
    ]
    return found[0] if found else None


def _remove_asset_bucket(clients: Clients) -> None:
    """Take the archives' bucket away, which an earlier test made."""
    if BUCKET in _buckets(clients):
        s3 = clients.get("s3")
        for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=each["Key"])
        s3.delete_bucket(Bucket=BUCKET)


def test_first_deployment_announces_then_makes_everything(empty_account: Clients, tmp_path: Path) -> None:
    deploying = _deploying(empty_account, tmp_path, SMALL)
    events: list[StackEvent] = []

    plan = deploying.plan(Choices())
    stack = deploying.apply(plan, events.append)

    assert plan.change_set is not None
    assert {(each.action, each.logical_id) for each in plan.change_set.changes} == {
        ("Add", "Queue"),
        ("Add", "Kept"),
        ("Add", "Topic"),
    }
    assert stack.status == "CREATE_COMPLETE"
    done = [event.logical_id for event in events if event.status == "CREATE_COMPLETE"]
    assert sorted(done) == ["Kept", "Queue", "Topic", "runctl"]


def test_protected_stack_is_not_deleted_by_mistake(empty_account: Clients, tmp_path: Path) -> None:
    deploying = _deploying(empty_account, tmp_path, SMALL)
    deploying.apply(deploying.plan(Choices()))
    cloudformation = empty_account.get("cloudformation")

    with pytest.raises(cloudformation.exceptions.ClientError, match="TerminationProtection"):
        cloudformation.delete_stack(StackName="runctl")


def test_unchanged_stack_has_nothing_to_do(empty_account: Clients, tmp_path: Path) -> None:
    deploying = _deploying(empty_account, tmp_path, SMALL)
    deploying.apply(deploying.plan(Choices()))

    again = deploying.plan(Choices())

    assert again.change_set is None
    assert _stack_status(empty_account) == "CREATE_COMPLETE"


def test_what_was_chosen_once_stays_until_it_is_chosen_anew(empty_account: Clients, tmp_path: Path) -> None:
    deploying = _deploying(empty_account, tmp_path, SMALL)
    deploying.apply(deploying.plan(Choices(notify_email="me@example.org")))

    unsaid = deploying.plan(Choices())
    taken_away = deploying.plan(Choices(notify_email=""))

    assert (unsaid.change_set, unsaid.parameters["NotifyEmail"]) == (None, "me@example.org")
    assert taken_away.change_set is not None
    assert [each.logical_id for each in taken_away.change_set.changes] == ["Topic"]
    deploying.discard(taken_away)


def test_discarded_first_plan_leaves_no_stack_and_nothing_in_the_bucket(empty_account: Clients, tmp_path: Path) -> None:
    _remove_asset_bucket(empty_account)
    deploying = _deploying(empty_account, tmp_path, SMALL)

    deploying.discard(deploying.plan(Choices()))

    assert _stack_status(empty_account) is None
    assert empty_account.get("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_failed_creation_names_the_resource_and_leaves_nothing(empty_account: Clients, tmp_path: Path) -> None:
    before = _buckets(empty_account) | {BUCKET}
    deploying = _deploying(empty_account, tmp_path, with_broken_function(SMALL))

    with pytest.raises(DeploymentFailed, match=r"Broken \(AWS::Lambda::Function\): .*missing\.zip") as failure:
        deploying.apply(deploying.plan(Choices()))

    assert "deleted again" in failure.value.message
    assert _stack_status(empty_account) is None
    assert _buckets(empty_account) == before  # the template's bucket, which a stack retains, is not among them


def test_protected_table_keeps_its_stack_until_that_is_destroyed(empty_account: Clients, tmp_path: Path) -> None:
    deploying = _deploying(empty_account, tmp_path, WITH_TABLE)
    deploying.apply(deploying.plan(Choices()))
    change_sets = ChangeSets(empty_account.get("cloudformation"))
    change_sets.protect(is_protected=False)
    destroying = Destroying(empty_account, Site())

    refused = change_sets.delete(destroying.inventory().stack.stack_id)
    failed = change_sets.failures(refused.stack_id)
    destroying.destroy(destroying.inventory(), empties_bucket=False)

    assert refused.status == "DELETE_FAILED"
    assert "Table" in {each.logical_id for each in failed}
    assert _stack_status(empty_account) is None


def test_deployment_after_a_failed_one_succeeds(empty_account: Clients, tmp_path: Path) -> None:
    broken = _deploying(empty_account, tmp_path / "broken", with_broken_function(SMALL))
    with pytest.raises(DeploymentFailed):
        broken.apply(broken.plan(Choices()))
    whole = _deploying(empty_account, tmp_path / "whole", SMALL)

    stack = whole.apply(whole.plan(Choices()))

    assert stack.status == "CREATE_COMPLETE"


def test_failed_update_is_rolled_back(empty_account: Clients, tmp_path: Path) -> None:
    whole = _deploying(empty_account, tmp_path / "whole", SMALL)
    whole.apply(whole.plan(Choices()))
    broken = _deploying(empty_account, tmp_path / "broken", with_broken_function(SMALL))

    with pytest.raises(DeploymentFailed, match=r"Broken \(AWS::Lambda::Function\).*rolled back"):
        broken.apply(broken.plan(Choices()))

    assert _stack_status(empty_account) == "UPDATE_ROLLBACK_COMPLETE"
    assert whole.plan(Choices()).change_set is None


def test_refused_template_is_told_in_cloudformations_words(empty_account: Clients, tmp_path: Path) -> None:
    template = {**SMALL, "Parameters": {**SMALL["Parameters"], "Unsaid": {"Type": "String"}}}

    with pytest.raises(DeploymentFailed, match="Unsaid"):
        _deploying(empty_account, tmp_path, template).plan(Choices())

    assert _stack_status(empty_account) is None


def test_archives_lie_in_a_private_encrypted_bucket_that_wants_tls(empty_account: Clients, tmp_path: Path) -> None:
    deploying = _deploying(empty_account, tmp_path, SMALL)

    deploying.apply(deploying.plan(Choices()))

    s3 = empty_account.get("s3")
    access = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert set(access.values()) == {True}
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    assert {each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]} >= {"code.zip"}


def test_what_was_chosen_stays_when_the_local_cloud_deploys_another_template(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "state", assembly_dir=write_assembly(tmp_path / "assembly", SMALL))
    cloud.up(say=lambda _: None)
    try:
        clients = find_clients(environment=cloud.environment())
        site = Site(ASSET_BUCKET, PARAMETERS)
        deploying = Deploying(clients, load_assembly(tmp_path / "assembly"), site)
        deploying.apply(deploying.plan(Choices(notify_email="me@example.org")))
        more = {**SMALL, "Resources": {**SMALL["Resources"], "Another": {"Type": "AWS::SQS::Queue"}}}
        write_assembly(tmp_path / "assembly", more)

        cloud.up(say=lambda _: None)

        stack = ChangeSets(clients.get("cloudformation")).stack()
    finally:
        cloud.down(say=lambda _: None)
    assert stack is not None
    assert stack.parameters["NotifyEmail"] == "me@example.org"
