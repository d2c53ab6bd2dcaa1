"""The whole way by the command line: deploy, run, destroy, deploy again."""

import time

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud


def test_deploy_run_destroy_deploy(cloud: Cloud) -> None:
    unchanged = cloud.runctl("deploy", "--yes")
    run = cloud.runctl("train", "succeed.py", "--instance-type", "t3.micro", "--yes", "--wait")
    destroyed = cloud.runctl("destroy", "--stack-name", "runctl")
    gone = cloud.runctl("ps")
    began = time.monotonic()
    deployed = cloud.runctl("deploy", "--yes")
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
    assert cloud.runctl("deploy", "--yes").data["status"] == "CREATE_COMPLETE"
