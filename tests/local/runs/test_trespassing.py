"""A machine reaches for what is another machine's: AWS's own IAM, and the signature of events, keep it out.

Machine A's training has its machine's role (Amazon EC2 gives the instance id as the session's name, so that
`aws:userid` is `<role id>:<instance id>`; IAM User Guide, "IAM policy elements: Variables and tags").
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from runctl.model import keys
from runctl.model.agent_event import AgentEventKind, sign
from runctl.model.base import iso
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.names import AGENT_EVENT_SOURCE, STACK_NAME, Metric, Output
from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

PROFILE = "runctl-ssm-profile"


@dataclass(frozen=True)
class Training:
    """A run that trains, and its machine."""

    run_id: RunId
    instance_id: InstanceId


class Intruder:
    """Whoever has the credentials of one machine."""

    def __init__(self, cloud: Cloud, training: Training) -> None:
        (role,) = cloud.client("iam").get_instance_profile(InstanceProfileName=PROFILE)["InstanceProfile"]["Roles"]
        self.role_id: str = role["RoleId"]
        self._cloud = cloud
        self._credentials = cloud.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName=training.instance_id)[
            "Credentials"
        ]

    def client(self, service: str) -> Any:
        """Make a client with the machine's credentials."""
        return cast("Any", boto3.client)(
            service,
            endpoint_url=self._cloud.environment["AWS_ENDPOINT_URL"],
            region_name=self._cloud.environment["AWS_REGION"],
            aws_access_key_id=self._credentials["AccessKeyId"],
            aws_secret_access_key=self._credentials["SecretAccessKey"],
            aws_session_token=self._credentials["SessionToken"],
        )


class Scene:
    """Two runs that train at the same time. Machine A belongs to the intruder."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        names = [cloud.train("count.py", "600", "0.1") for _ in range(2)]
        for name in names:
            cloud.wait_for_event(name, "checkpoint_saved")
        self.a, self.b = (
            Training(RunId(name), InstanceId(cloud.status(name)["attempts"][0]["instance_id"])) for name in names
        )
        self.intruder = Intruder(cloud, self.a)

    @property
    def bucket(self) -> str:
        """The stack's bucket."""
        return self.outputs[Output.BUCKET]

    def handoff(self, training: Training) -> str:
        """Key of a machine's hand-off."""
        return keys.handoff_key(self.intruder.role_id, training.instance_id)

    def prefix(self, training: Training) -> str:
        """Where a machine may write."""
        return keys.attempt_prefix(training.run_id, AttemptNumber(1), self.intruder.role_id, training.instance_id)

    def token(self, training: Training) -> str:
        """The task token of a run's `Train` state, which only the table holds and its machine was handed."""
        found = self.cloud.client("dynamodb").get_item(
            TableName=self.outputs[Output.RUNS_TABLE],
            Key={
                "pk": {"S": keys.run_partition(training.run_id)},
                "sk": {"S": keys.attempt_sort_key(AttemptNumber(1))},
            },
            ConsistentRead=True,
        )
        return cast("str", found["Item"]["tokens"]["M"]["train"]["S"])

    def unverified(self) -> float:
        """How many events were dropped so far."""
        now = datetime.now(UTC)
        points = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="runctl",
            MetricName=Metric.UNVERIFIED_EVENTS.value,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))


@pytest.fixture(scope="module")
def scene(cloud: Cloud) -> Iterator[Scene]:
    """Two trainings, stopped at the end."""
    made = Scene(cloud)
    yield made
    for training in (made.a, made.b):
        cloud.runctl("cancel", training.run_id, "--now")
    for training in (made.a, made.b):
        cloud.wait_for_end(training.run_id)


def refused(call: Any, **arguments: Any) -> bool:
    """Whether AWS refuses the call for want of permission; other errors are raised."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
            return True
        raise
    return False


def test_a_machine_reads_its_own_hand_off_and_not_anothers(scene: Scene) -> None:
    s3 = scene.intruder.client("s3")

    own = json.loads(s3.get_object(Bucket=scene.bucket, Key=scene.handoff(scene.a))["Body"].read())

    assert own["run_id"] == scene.a.run_id
    assert refused(s3.get_object, Bucket=scene.bucket, Key=scene.handoff(scene.b))


def test_a_machine_neither_reads_nor_writes_nor_removes_anothers_checkpoints(scene: Scene) -> None:
    s3 = scene.intruder.client("s3")
    everything = scene.cloud.client("s3").list_objects_v2(Bucket=scene.bucket, Prefix=scene.prefix(scene.b))
    kept = [item["Key"] for item in everything["Contents"] if item["Key"].endswith("/manifest.json")]

    assert kept
    assert all(refused(s3.get_object, Bucket=scene.bucket, Key=key) for key in kept)
    assert refused(s3.put_object, Bucket=scene.bucket, Key=f"{scene.prefix(scene.b)}final.json", Body=b"{}")
    assert refused(s3.delete_object, Bucket=scene.bucket, Key=kept[0])
    assert refused(s3.list_objects_v2, Bucket=scene.bucket, Prefix=scene.prefix(scene.b))
    assert not refused(s3.put_object, Bucket=scene.bucket, Key=f"{scene.prefix(scene.a)}output/note", Body=b"mine")


def test_a_machine_does_not_answer_anothers_token_nor_its_own(scene: Scene) -> None:
    states = scene.intruder.client("stepfunctions")

    for training in (scene.a, scene.b):
        token = scene.token(training)
        assert refused(states.send_task_success, taskToken=token, output="{}")
        assert refused(states.send_task_failure, taskToken=token, error="UserError", cause="forged")
    assert scene.cloud.status(scene.b.run_id)["status"] == "RUNNING"


def test_a_machine_touches_neither_the_table_nor_other_machines(scene: Scene) -> None:
    dynamodb, ec2 = scene.intruder.client("dynamodb"), scene.intruder.client("ec2")
    key = {"pk": {"S": keys.run_partition(scene.b.run_id)}, "sk": {"S": keys.META_SORT_KEY}}

    assert refused(dynamodb.get_item, TableName=scene.outputs[Output.RUNS_TABLE], Key=key)
    assert refused(dynamodb.delete_item, TableName=scene.outputs[Output.RUNS_TABLE], Key=key)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.terminate_instances(InstanceIds=[scene.b.instance_id])


@pytest.mark.parametrize("speaks_as", ["b", "a"])
def test_the_end_of_another_machines_training_is_not_believed(scene: Scene, speaks_as: str) -> None:
    s3, events = scene.intruder.client("s3"), scene.intruder.client("events")
    secret = json.loads(s3.get_object(Bucket=scene.bucket, Key=scene.handoff(scene.a))["Body"].read())["secret"]
    now = iso(datetime.now(UTC))
    forged = {
        "version": 1,
        "run_id": scene.b.run_id,
        "attempt": 1,
        "instance_id": (scene.b if speaks_as == "b" else scene.a).instance_id,
        "kind": AgentEventKind.TRAINING_ENDED.value,
        "time": now,
        "data": {"why": "exited", "exit_code": 0, "started": True, "ended_at": now},
    }
    before = scene.unverified()

    answer = events.put_events(
        Entries=[
            {
                "EventBusName": scene.outputs[Output.BUS_NAME],
                "Source": AGENT_EVENT_SOURCE,
                "DetailType": AgentEventKind.TRAINING_ENDED.value,
                "Detail": json.dumps({**forged, "signature": sign(forged, secret)}),
            }
        ]
    )

    assert answer["FailedEntryCount"] == 0  # the bus takes it: the source is an agent's
    scene.cloud.wait_until(lambda: scene.unverified() == before + 1 or None, "the event, dropped and counted")
    assert scene.cloud.status(scene.b.run_id)["status"] == "RUNNING"
    assert "training_ended" not in {event["kind"] for event in scene.cloud.events(scene.b.run_id)}


def test_an_event_of_awss_own_is_refused(scene: Scene) -> None:
    events = scene.intruder.client("events")

    assert refused(
        events.put_events,
        Entries=[{"Source": "aws.ec2", "DetailType": "EC2 Spot Instance Interruption Warning", "Detail": "{}"}],
    )
