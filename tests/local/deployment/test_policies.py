"""The policies of docs/policies allow what they are for, and not what they are not for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from runctl.client.checks import Checks, Health
from runctl.client.client import Client
from runctl.client.clients import Clients, find_clients
from runctl.client.connect import connect
from runctl.client.spec import RunSpec
from runctl.errors import PermissionDenied
from runctl.model.ids import RunId
from runctl.model.status import RunStatus
from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

POLICIES = Path(__file__).parents[3] / "docs" / "policies"
LARGEST = 6_144
"""Characters of a managed policy without white space (IAM User Guide, "IAM and AWS STS quotas")."""


class Person:
    """Somebody with one of the policies and nothing else."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        iam = cloud.client("iam")
        policy = iam.create_policy(PolicyName=name, PolicyDocument=(POLICIES / f"{name}.json").read_text())
        self._arn = policy["Policy"]["Arn"]
        iam.create_user(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn=self._arn)
        self._key = iam.create_access_key(UserName=name)["AccessKey"]
        self._iam, self._name = iam, name
        self._environment = {
            **cloud.environment,
            "AWS_ACCESS_KEY_ID": self._key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._key["SecretAccessKey"],
        }
        self.runs = Client(connect(environment=self._environment), project=cloud.root.name)
        self.clients: Clients = find_clients(environment=self._environment)

    def remove(self) -> None:
        """Let the account be as it was."""
        self._iam.delete_access_key(UserName=self._name, AccessKeyId=self._key["AccessKeyId"])
        self._iam.detach_user_policy(UserName=self._name, PolicyArn=self._arn)
        self._iam.delete_user(UserName=self._name)
        self._iam.delete_policy(PolicyArn=self._arn)

    def is_refused(self, service: str, operation: str, **request: Any) -> bool:
        """Whether AWS says that a permission is missing."""
        try:
            getattr(self.clients.get(service), operation)(**request)
        except ClientError as error:
            return error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
        return False


@pytest.fixture
def user(cloud: Cloud) -> Iterator[Person]:
    """Somebody who trains."""
    person = Person(cloud, "user")
    yield person
    person.remove()


@pytest.fixture
def reader(cloud: Cloud) -> Iterator[Person]:
    """Somebody who looks."""
    person = Person(cloud, "reader")
    yield person
    person.remove()


@pytest.fixture
def outputs(cloud: Cloud) -> dict[str, str]:
    """What the stack put out."""
    stack = cloud.client("cloudformation").describe_stacks(StackName="runctl")["Stacks"][0]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def _spec(cloud: Cloud, script: str, *arguments: str) -> RunSpec:
    return RunSpec(script=script, args=arguments, instance_types=("t3.micro",), project_dir=cloud.root)


@pytest.mark.parametrize("name", ["admin", "user", "reader"])
def test_policy_fits_into_a_managed_policy(name: str) -> None:
    document = json.loads((POLICIES / f"{name}.json").read_text())

    assert len(json.dumps(document, separators=(",", ":"))) <= LARGEST
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)


def test_user_trains_reads_and_cancels(cloud: Cloud, user: Person) -> None:
    done = user.runs.train(_spec(cloud, "succeed.py"))
    stopped = user.runs.train(_spec(cloud, "count.py", "1000", "0.2"))
    user.runs.cancel(stopped.run_id)

    ends = [user.runs.wait(run.run_id).status for run in (done, stopped)]

    assert ends == [RunStatus.SUCCEEDED, RunStatus.CANCELLED]
    assert "done" in {entry.line.text for entry in user.runs.logs(done.run_id)}
    assert {run.run_id for run in user.runs.runs()} >= {done.run_id, stopped.run_id}


def test_user_fetches_what_a_run_left_and_goes_on_from_it(cloud: Cloud, user: Person, tmp_path: Path) -> None:
    done = user.runs.wait(user.runs.train(_spec(cloud, "succeed.py")).run_id)

    (fetched,) = user.runs.download(user.runs.plan_download(done, tmp_path))
    resumed = user.runs.resume(user.runs.plan_resume(done, force=True))

    assert fetched.path.read_text() == "weights"
    assert user.runs.wait(resumed.run_id).status is RunStatus.SUCCEEDED
    assert user.runs.attempts(resumed.run_id)[0].resumed_from_step == 1


def test_user_deletes_a_checkpoint_and_lets_the_reaper_look(cloud: Cloud, user: Person) -> None:
    done = user.runs.wait(user.runs.train(_spec(cloud, "succeed.py")).run_id)
    tidying = user.runs.tidying

    tidying.delete(tidying.plan_deletion(done, keep=0))
    seen = tidying.sweep(dry_run=True)

    assert user.runs.checkpoints(done.run_id) == ()
    assert seen.dry_run


def test_reader_deletes_no_checkpoint_and_lets_no_reaper_look(cloud: Cloud, user: Person, reader: Person) -> None:
    done = user.runs.wait(user.runs.train(_spec(cloud, "succeed.py")).run_id)
    tidying = reader.runs.tidying

    with pytest.raises(PermissionDenied):
        tidying.delete(tidying.plan_deletion(done, keep=0))
    with pytest.raises(PermissionDenied):
        tidying.sweep(dry_run=True)

    assert len(user.runs.checkpoints(done.run_id)) == 1


def test_user_may_ask_the_doctor_everything(user: Person) -> None:
    found = {finding.check: finding for finding in Checks(user.clients, ["t3.micro"]).findings()}

    hidden = [name for name, each in found.items() if "may not be looked at" in each.text]
    assert hidden == []
    assert found["stack"].health is Health.OK


def test_user_changes_neither_the_stack_nor_what_machines_have_left(user: Person, outputs: dict[str, str]) -> None:
    bucket, table = outputs["Bucket"], outputs["RunsTable"]

    assert user.is_refused("cloudformation", "delete_stack", StackName="runctl")
    assert user.is_refused("s3", "delete_object", Bucket=bucket, Key="runs/r-1/attempts/1/x/manifest.json")
    assert user.is_refused("s3", "put_object", Bucket=bucket, Key="runs/r-1/attempts/1/x/manifest.json", Body=b"")
    assert user.is_refused("s3", "get_object", Bucket=bucket, Key="handoff/x/job.json")
    assert user.is_refused("dynamodb", "delete_table", TableName=table)
    assert user.is_refused("lambda", "invoke", FunctionName="runctl-conclude_run", Payload=b"{}")
    assert user.is_refused("iam", "create_user", UserName="other")


def test_reader_looks_and_starts_nothing(cloud: Cloud, reader: Person) -> None:
    run_id = RunId(cloud.train("succeed.py"))
    cloud.wait_for_end(run_id)

    assert reader.runs.run(run_id).status is RunStatus.SUCCEEDED
    assert "done" in {entry.line.text for entry in reader.runs.logs(run_id)}
    with pytest.raises(PermissionDenied):
        reader.runs.train(_spec(cloud, "succeed.py"))
    with pytest.raises(PermissionDenied):
        reader.runs.cancel(run_id)
