"""Rights are enforced on every local target: `--enforce-iam` asks for what is so anyway."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from runctl.local.cloud import LocalCloud
from runctl.model.names import STACK_NAME, Function, Output
from tests.local.callers import client_of_role
from tests.local.runs.cloud import Cloud
from tests.local.runs.project import write_project

pytestmark = pytest.mark.local_cloud


@pytest.mark.parametrize("flags", [(), ("--enforce-iam",)], ids=["without the flag", "with the flag"])
def test_role_has_what_its_policies_allow_and_no_more(tmp_path: Path, flags: tuple[str, ...]) -> None:
    write_project(tmp_path)
    local = LocalCloud(tmp_path / ".runctl" / "local")
    up = Cloud.command_in(tmp_path, "local", "up", *flags)
    try:
        assert up.exit_code == 0, up
        cloud = Cloud(tmp_path, local)
        (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        configuration = cloud.client("lambda").get_function_configuration(
            FunctionName=f"{STACK_NAME}-{Function.WATCH_COSTS.value}"
        )
        watcher = client_of_role(cloud.environment, "dynamodb", configuration["Role"])
        item = {"pk": {"S": "RUN#none"}, "sk": {"S": "META"}}

        watcher.get_item(TableName=outputs[Output.RUNS_TABLE], Key=item)

        with pytest.raises(ClientError, match=r"AccessDenied.*dynamodb:DeleteTable"):
            watcher.delete_table(TableName=outputs[Output.RUNS_TABLE])
    finally:
        local.down(say=lambda _: None)
