"""The whole way by the command line: deploy, run, destroy, deploy again."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from runctl.assembly import load_assembly
from runctl.client.clients import find_clients
from runctl.client.deploying import Choices, Deploying, Site
from runctl.local.deployer import ASSET_BUCKET, PARAMETERS
from runctl.local.functions_archive import default_cache, for_this_machine
from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_run_goes_on_over_an_update_of_its_functions_and_its_state_machine(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "40", "0.2")
    cloud.wait_until(lambda: cloud.status(run_id)["status"] == "RUNNING", "the training's start")
    assembly = for_this_machine(load_assembly(), default_cache(), lambda _: None)
    newer = replace(assembly, template_text=_newer(assembly.template), template_sha256="newer")
    deploying = Deploying(find_clients(environment=cloud.environment), newer, Site(ASSET_BUCKET, PARAMETERS))

    plan = deploying.plan(Choices())
    stack = deploying.apply(plan)

    assert plan.change_set is not None
    changed = {change.resource_type for change in plan.change_set.changes}
    assert changed >= {"AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"}
    assert stack.status == "UPDATE_COMPLETE"
    run = cloud.wait_for_end(run_id)
    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert len(run["attempts"]) == 1


def _newer(template: dict[str, Any]) -> str:
    """The template as another version might have it: all functions larger, one state's comment another."""
    newer: dict[str, Any] = json.loads(json.dumps(template))
    for resource in newer["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["MemorySize"] += 64
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            separator, parts = resource["Properties"]["DefinitionString"]["Fn::Join"]
            parts[0] = parts[0].replace("{", '{"Comment":"newer",', 1)
            resource["Properties"]["DefinitionString"]["Fn::Join"] = [separator, parts]
    return json.dumps(newer)


def test_deploy_run_destroy_deploy(cloud: Cloud) -> None:
    cloud.runctl("deploy", "--yes", "--target", "local")
    unchanged = cloud.runctl("deploy", "--yes", "--target", "local")
    run = cloud.runctl("train", "succeed.py", "--instance-type", "t3.micro", "--yes", "--wait")
    destroyed = cloud.runctl("destroy", "--stack-name", "runctl")
    gone = cloud.runctl("ps")
    began = time.monotonic()
    deployed = cloud.runctl("deploy", "--yes", "--target", "local")
    took_s = time.monotonic() - began
    second = cloud.runctl("train", "succeed.py", "--instance-type", "t3.micro", "--yes", "--wait")

    assert (unchanged.exit_code, unchanged.data["changed"]) == (0, False), unchanged
    assert (run.exit_code, run.data["status"]) == (0, "SUCCEEDED"), run
    assert destroyed.exit_code == 0, destroyed
    assert gone.document["errors"][0]["code"] == "not_deployed"
    assert (deployed.exit_code, deployed.data["status"]) == (0, "CREATE_COMPLETE"), deployed
    assert took_s < 10
    assert (second.exit_code, second.data["status"]) == (0, "SUCCEEDED"), second
    kept = destroyed.data["kept_bucket"]
    objects = cloud.client("s3").list_objects_v2(Bucket=kept)["Contents"]
    assert any(run.data["run_id"] in each["Key"] for each in objects)


def test_stack_with_an_open_run_is_not_deleted(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "1000", "0.2")
    cloud.runctl("events", run_id)

    refused = cloud.runctl("destroy", "--stack-name", "runctl")

    assert (refused.exit_code, refused.document["errors"][0]["code"]) == (2, "still_running")
    assert run_id in refused.stderr
    assert cloud.runctl("status", run_id).exit_code == 0


def test_force_lets_runs_save_and_end_and_the_bucket_goes_when_it_is_asked(cloud: Cloud) -> None:
    run_id = cloud.train("count.py", "1000", "0.2")
    cloud.wait_until(
        lambda: cloud.runctl("status", run_id).data["status"] == "RUNNING", "the training's start", pause_s=1
    )
    stack = cloud.client("cloudformation").describe_stacks(StackName="runctl")["Stacks"][0]
    bucket = next(each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "Bucket")

    destroyed = cloud.runctl("destroy", "--force", "--empty-bucket", "--stack-name", "runctl")

    assert destroyed.exit_code == 0, destroyed
    assert run_id in destroyed.stderr
    assert destroyed.data["kept_bucket"] is None
    assert destroyed.data["objects_deleted"] > 0
    assert bucket not in {each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]}
    assert cloud.live_machines() == []
    assert cloud.runctl("deploy", "--yes", "--target", "local").data["status"] == "CREATE_COMPLETE"


def test_doctor_finds_a_deployed_local_target_well(cloud: Cloud) -> None:
    answer = cloud.runctl("doctor")

    assert (answer.exit_code, answer.data["healthy"]) == (0, True), answer
