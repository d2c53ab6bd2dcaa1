"""S3: what runs left behind, as a person fetches it."""

import json
import logging
from typing import Any, cast

import boto3
import pytest

from runctl.aws.clients import S3_CONFIG
from runctl.aws.results import Output, Results
from runctl.errors import AwsError, PermissionDenied
from runctl.model import keys
from runctl.model.checkpoint import CheckpointFile
from runctl.model.ids import AttemptNumber
from tests.contract.examples import FIRST, INSTANCE, RUN_ID, SHA256
from tests.contract.stubs import stubbed

BUCKET = "runctl-bucket"
SECOND = AttemptNumber(2)


@pytest.fixture
def s3(aws: None) -> Any:
    """S3's client on moto, with the bucket."""
    client = cast("Any", boto3).client("s3", region_name="us-east-1", config=S3_CONFIG)
    client.create_bucket(Bucket=BUCKET)
    return client


def _leave(s3: Any, number: AttemptNumber, *, key: str = "", body: str = "") -> CheckpointFile:
    """Write a listing of one file, or `body` in its place; answer the file."""
    prefix = keys.attempt_prefix(RUN_ID, number, "AROAEXAMPLEID", INSTANCE)
    file = CheckpointFile(path="o.txt", key=key or f"{prefix}output/o.txt", bytes=3, sha256=SHA256)
    listing = json.dumps({"version": 1, "files": [file.model_dump()]})
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}output.json", Body=(body or listing).encode())
    return file


def test_outputs_are_listed_last_attempt_first(s3: Any) -> None:
    first, second = _leave(s3, FIRST), _leave(s3, SECOND)

    assert Results(s3, BUCKET).outputs(RUN_ID) == (
        Output(SECOND, INSTANCE, (second,)),
        Output(FIRST, INSTANCE, (first,)),
    )


@pytest.mark.parametrize("body", ["no json", "{}", '{"version": 2, "files": []}'])
def test_a_listing_that_cannot_be_read_is_left_out_and_logged(
    s3: Any, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    _leave(s3, FIRST, body=body)

    with caplog.at_level(logging.WARNING):
        assert Results(s3, BUCKET).outputs(RUN_ID) == ()

    assert "output.json" in caplog.text


def test_a_listing_that_names_what_is_not_its_own_is_left_out(s3: Any) -> None:
    _leave(s3, FIRST, key="code/other.json.gz")

    assert Results(s3, BUCKET).outputs(RUN_ID) == ()


def test_a_file_called_like_a_listing_inside_an_output_is_none(s3: Any) -> None:
    prefix = keys.attempt_prefix(RUN_ID, FIRST, "AROAEXAMPLEID", INSTANCE)
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}output/output.json", Body=b"the training's own")

    assert Results(s3, BUCKET).outputs(RUN_ID) == ()


def _leave_history(s3: Any, number: AttemptNumber, *, says: int = 0, folder: str = "", body: str = "") -> None:
    prefix = keys.attempt_prefix(RUN_ID, number, "AROAEXAMPLEID", INSTANCE)
    series = {"count": 1, "last": 0.5, "min": 0.5, "max": 0.5, "points": [[0.0, 7, 0.5]]}
    history = {
        "version": 1,
        "run_id": RUN_ID,
        "attempt": says or number,
        "began_at": "2026-01-31T09:30:00.000Z",
        "seconds": 10.0,
        "training": {"loss": series},
        "machine": {},
    }
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}{folder}metrics.json", Body=(body or json.dumps(history)).encode())


def test_histories_of_the_figures_are_read_first_attempt_first(s3: Any) -> None:
    _leave_history(s3, SECOND)
    _leave_history(s3, FIRST)

    found = Results(s3, BUCKET).histories(RUN_ID)

    assert [(left.instance_id, left.history.attempt) for left in found] == [(INSTANCE, FIRST), (INSTANCE, SECOND)]
    (point,) = found[0].history.training["loss"].points
    assert (point.seconds, point.step, point.value) == (0.0, 7, 0.5)


def test_history_that_is_another_attempts_or_lies_elsewhere_or_is_none_is_left_out(s3: Any) -> None:
    _leave_history(s3, FIRST, says=2)
    _leave_history(s3, SECOND, folder="output/")
    _leave_history(s3, AttemptNumber(3), body="no json")

    assert Results(s3, BUCKET).histories(RUN_ID) == ()


def test_an_object_is_read_in_pieces(s3: Any) -> None:
    body = bytes(range(256)) * 10_000
    s3.put_object(Bucket=BUCKET, Key="runs/x", Body=body)

    pieces = list(Results(s3, BUCKET).read("runs/x"))

    assert b"".join(pieces) == body
    assert len(pieces) == 3


def test_an_object_that_is_gone_is_an_error(s3: Any) -> None:
    with pytest.raises(AwsError):
        list(Results(s3, BUCKET).read("runs/gone"))


def test_a_missing_permission_is_no_empty_answer() -> None:
    with stubbed("s3", lambda client: Results(client, BUCKET)) as (results, stubber):
        stubber.add_client_error("list_objects_v2", service_error_code="AccessDenied", http_status_code=403)

        with pytest.raises(PermissionDenied):
            results.outputs(RUN_ID)
