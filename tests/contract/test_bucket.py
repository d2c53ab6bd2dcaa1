"""S3: hand-offs, manifests, links, final markers, project archives."""

import json
import logging
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from runctl.aws.bucket import S3Bucket
from runctl.aws.clients import S3_CONFIG
from runctl.errors import PermissionDenied
from runctl.model import keys
from runctl.model.checkpoint import CheckpointFile, Manifest
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.job import AgentJob, HandOver, ReplacementReady
from runctl.model.run import CodeRef
from tests.contract.examples import FIRST, INSTANCE, OTHER_RUN_ID, RUN_ID, SHA256, after
from tests.contract.stubs import stubbed

BUCKET = "runctl-bucket"
ROLE_ID = "AROAEXAMPLEID"
MACHINE_PREFIX = keys.attempt_prefix(RUN_ID, FIRST, ROLE_ID, INSTANCE)


def of_our_bucket(client: Any) -> S3Bucket:
    """Make the gateway for the bucket of these tests."""
    return S3Bucket(client, BUCKET, ROLE_ID)


@pytest.fixture
def s3(aws: None) -> Any:
    """S3's client on moto, with the bucket."""
    client = cast("Any", boto3).client("s3", region_name="us-east-1", config=S3_CONFIG)
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def bucket(s3: Any) -> S3Bucket:
    """The gateway on moto."""
    return of_our_bucket(s3)


def put(s3: Any, key: str, body: str) -> None:
    """Write an object."""
    s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())


def a_manifest(
    name: str, seconds: float = 0, *, prefix: str = MACHINE_PREFIX, run_id: RunId = RUN_ID, attempt: int = 1
) -> Manifest:
    """Make a manifest of one file below the prefix."""
    file = CheckpointFile(path="w.npz", key=f"{prefix}checkpoints/{name}/files/0", bytes=3, sha256=SHA256)
    number = AttemptNumber(attempt)
    return Manifest(run_id=run_id, attempt=number, name=name, step=1, saved_at=after(seconds), files=(file,))


def manifest_key(name: str, prefix: str = MACHINE_PREFIX) -> str:
    """Name the key of a checkpoint's manifest."""
    return f"{prefix}checkpoints/{name}/manifest.json"


def test_a_machines_prefix_holds_the_roles_id_and_its_own(bucket: S3Bucket) -> None:
    prefix = bucket.prefix_of(RUN_ID, FIRST, INSTANCE)

    assert prefix == f"runs/{RUN_ID}/attempts/0001/{ROLE_ID}:{INSTANCE}/"


def test_a_hand_off_lies_where_only_its_machine_reads_and_is_removed(s3: Any, bucket: S3Bucket) -> None:
    job = AgentJob(
        run_id=RUN_ID,
        attempt=FIRST,
        instance_id=INSTANCE,
        task_token=TaskToken("a token"),
        secret="5e" * 16,
        region="us-east-1",
        bucket=BUCKET,
        bus_name="runctl",
        log_group="/runctl/machines",
        log_stream=keys.log_stream(RUN_ID, FIRST),
        metrics_stream=keys.metrics_stream(RUN_ID, FIRST),
        prefix=MACHINE_PREFIX,
        code=CodeRef(key=f"code/{SHA256}.json.gz", sha256=SHA256, bytes=3),
        script="train.py",
        max_runtime_s=60,
        save_limit_s=60,
        heartbeat_interval_s=60,
        dead_man_s=1_800,
    )

    bucket.put_job(INSTANCE, job)
    go = HandOver(run_id=RUN_ID, attempt=FIRST, max_runtime_s=9)
    ready = ReplacementReady(run_id=RUN_ID, attempt=AttemptNumber(2))
    bucket.put_go(INSTANCE, go)
    bucket.put_replacement_ready(INSTANCE, ready)
    folder = f"handoff/{ROLE_ID}:{INSTANCE}"
    bodies = {
        name: s3.get_object(Bucket=BUCKET, Key=f"{folder}/{name}.json")["Body"].read()
        for name in ("job", "go", "replacement_ready")
    }
    bucket.remove_job(INSTANCE)
    bucket.remove_job(INSTANCE)

    assert AgentJob.model_validate_json(bodies["job"]) == job
    assert HandOver.model_validate_json(bodies["go"]) == go
    assert ReplacementReady.model_validate_json(bodies["replacement_ready"]) == ready
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_a_machine_of_another_role_has_its_places_under_that_role(bucket: S3Bucket) -> None:
    prefix = bucket.prefix_of(RUN_ID, FIRST, INSTANCE, role_id="AROAOTHER")

    assert prefix == keys.attempt_prefix(RUN_ID, FIRST, "AROAOTHER", INSTANCE)
    assert bucket.final_marker(RUN_ID, FIRST, INSTANCE, role_id="AROAOTHER") is None


def test_manifests_of_all_attempts_are_read_newest_first(s3: Any, bucket: S3Bucket) -> None:
    second_prefix = keys.attempt_prefix(RUN_ID, AttemptNumber(2), ROLE_ID, InstanceId("i-0fffffffffffffff0"))
    oldest = a_manifest("step-1", 10)
    newest = a_manifest("step-9", 30, prefix=second_prefix, attempt=2)
    middle = a_manifest("step-5", 20)
    for manifest, prefix in ((oldest, MACHINE_PREFIX), (newest, second_prefix), (middle, MACHINE_PREFIX)):
        put(s3, manifest_key(manifest.name, prefix), manifest.model_dump_json())
    put(s3, f"{MACHINE_PREFIX}checkpoints/step-7/files/0", "a checkpoint without a manifest does not exist")

    assert bucket.manifests(RUN_ID) == (newest, middle, oldest)
    assert bucket.manifests(OTHER_RUN_ID) == ()


def test_a_manifest_that_is_not_readable_is_left_out_and_logged(
    s3: Any, bucket: S3Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    put(s3, manifest_key("torn"), '{"version": 1, "run_id": "secret text of a ma')
    put(s3, manifest_key("whole"), a_manifest("whole").model_dump_json())

    with caplog.at_level(logging.WARNING):
        manifests = bucket.manifests(RUN_ID)

    assert [manifest.name for manifest in manifests] == ["whole"]
    assert manifest_key("torn") in caplog.text
    assert "secret text" not in caplog.text


@pytest.mark.parametrize(
    "foreign",
    [
        a_manifest("x", prefix="code/"),
        a_manifest("x", prefix=f"handoff/{ROLE_ID}:{INSTANCE}/"),
        a_manifest("x", prefix=keys.attempt_prefix(OTHER_RUN_ID, FIRST, ROLE_ID, INSTANCE)),
        a_manifest("x", run_id=OTHER_RUN_ID),
        a_manifest("x", attempt=2),
    ],
    ids=["code", "hand-off", "another run's files", "another run", "another attempt"],
)
def test_a_manifest_that_names_what_is_not_its_own_is_left_out(s3: Any, bucket: S3Bucket, foreign: Manifest) -> None:
    put(s3, manifest_key("x"), foreign.model_dump_json())

    assert bucket.manifests(RUN_ID) == ()


def test_links_are_short_lived_and_signed_with_version_4(bucket: S3Bucket) -> None:
    (link,) = bucket.links(a_manifest("step-1"))

    parts = urlsplit(link.url)
    query = parse_qs(parts.query)
    assert parts.path.endswith("/checkpoints/step-1/files/0")
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert int(query["X-Amz-Expires"][0]) <= 3_600
    assert (link.path, link.bytes, link.sha256) == ("w.npz", 3, SHA256)


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "ap-southeast-5"])
def test_links_name_the_regions_own_endpoint(region: str) -> None:
    """The global one answers for a bucket elsewhere with a redirect that breaks the signature, or with 400."""
    client = cast("Any", boto3).client(
        "s3", region_name=region, aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", config=S3_CONFIG
    )

    (link,) = of_our_bucket(client).links(a_manifest("step-1"))

    assert urlsplit(link.url).netloc == f"{BUCKET}.s3.{region}.amazonaws.com"


def test_links_of_an_endpoint_by_address_keep_the_bucket_in_the_path() -> None:
    client = cast("Any", boto3).client(
        "s3",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:4566",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=S3_CONFIG,
    )

    (link,) = of_our_bucket(client).links(a_manifest("step-1"))

    assert link.url.startswith(f"http://127.0.0.1:4566/{BUCKET}/")


def test_the_final_marker_is_read_as_it_was_signed(s3: Any, bucket: S3Bucket) -> None:
    detail = {"run_id": RUN_ID, "kind": "Training Ended", "data": {"exit_code": 0}, "signature": "ab"}
    put(s3, f"{MACHINE_PREFIX}final.json", json.dumps(detail))

    assert bucket.final_marker(RUN_ID, FIRST, INSTANCE) == detail
    assert bucket.final_marker(RUN_ID, AttemptNumber(2), INSTANCE) is None


@pytest.mark.parametrize("body", ["", "[1]", "{"])
def test_a_final_marker_that_is_no_document_is_none(s3: Any, bucket: S3Bucket, body: str) -> None:
    put(s3, f"{MACHINE_PREFIX}final.json", body)

    assert bucket.final_marker(RUN_ID, FIRST, INSTANCE) is None


def test_a_refused_read_is_not_a_missing_marker() -> None:
    with stubbed("s3", of_our_bucket) as (bucket, stubber), pytest.raises(PermissionDenied):
        stubber.add_client_error("get_object", service_error_code="AccessDenied", http_status_code=403)
        bucket.final_marker(RUN_ID, FIRST, INSTANCE)
