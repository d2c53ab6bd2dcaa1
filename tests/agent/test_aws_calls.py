"""The agent's calls of AWS: botocore's own parameter checks, moto's S3 and Logs, and errors that become ours."""

import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber
from moto import mock_aws

from runctl.agent import object_store
from runctl.agent.clients import Aws, AwsRefused, EventBridgeBus, LogStream, SecretReader, TaskHeartbeats
from runctl.agent.heartbeat import DeadTokenError
from runctl.agent.object_store import S3ObjectStore, Stretch

REGION = "us-east-1"
BUCKET = "bucket"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Aws(REGION)


@pytest.fixture
def store(aws: Aws) -> S3ObjectStore:
    aws.client("s3").create_bucket(Bucket=BUCKET)
    return S3ObjectStore(aws.client("s3"), BUCKET)


def _never() -> bool:
    return False


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_file_arrives_whole_and_its_hash_is_told(store: S3ObjectStore, tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(content)

    stored = store.put_file("key", tmp_path / "file")
    fetched = store.get_file("key", tmp_path / "copy", _never)

    assert (stored.bytes, stored.sha256) == (size, sha256(content).hexdigest())
    assert fetched == stored.sha256
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("size", [object_store.PART_BYTES, 2 * object_store.PART_BYTES + 7])
def test_large_file_arrives_whole_in_parts(store: S3ObjectStore, aws: Aws, tmp_path: Path, size: int) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size - 1)
        file.seek(size - 1)
        file.write(b"x")

    stored = store.put_file("key", tmp_path / "file")

    head = aws.client("s3").head_object(Bucket=BUCKET, Key="key")
    assert (stored.bytes, head["ContentLength"]) == (size, size)
    assert head["ETag"].strip('"').endswith(f"-{-(-size // object_store.PART_BYTES)}")
    assert store.get_file("key", tmp_path / "copy", _never) == stored.sha256


def test_large_upload_that_fails_leaves_no_parts(store: S3ObjectStore, aws: Aws, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(object_store.PART_BYTES)
    client = aws.client("s3")
    failing = S3ObjectStore(_FailingParts(client), BUCKET)

    with pytest.raises(OSError, match="SlowDown"):
        failing.put_file("key", tmp_path / "file")

    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET)


class _FailingParts:
    """A client whose parts are refused."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def upload_part(self, **_: Any) -> Any:
        raise AwsRefused("SlowDown", "Please reduce your request rate.")


def test_part_is_read_again_from_its_beginning_for_a_second_try(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")

    with (tmp_path / "file").open("rb") as file:
        part = Stretch(file.fileno(), 2, 5)
        first = part.read(3) + part.read(3) + part.read(3)
        part.seek(0)
        again = part.read()

    assert (len(part), first, again) == (5, b"23456", b"23456")


def test_file_that_became_shorter_while_it_was_uploaded_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")

    with (tmp_path / "file").open("rb") as file, pytest.raises(OSError, match="shorter"):
        part = Stretch(file.fileno(), 0, 10)
        os.truncate(tmp_path / "file", 4)
        part.read(4)
        part.read(4)


def test_missing_object_is_an_error_and_missing_ones_may_be_removed(store: S3ObjectStore) -> None:
    store.delete(["absent"])

    with pytest.raises(AwsRefused) as caught:
        store.get("absent")

    assert caught.value.code == "NoSuchKey"


def test_log_stream_is_made_before_the_first_batch_and_one_that_is_there_is_fine(aws: Aws) -> None:
    client = aws.client("logs")
    client.create_log_group(logGroupName="group")
    stream = LogStream(client, "group", "run/0001")
    now_ms = int(time.time() * 1000)  # the service refuses what is far from its own time
    stream.put([(now_ms, "one")])

    LogStream(client, "group", "run/0001").put([(now_ms + 1, "two")])

    events = client.get_log_events(logGroupName="group", logStreamName="run/0001", startFromHead=True)["events"]
    assert [event["message"] for event in events] == ["one", "two"]


def test_newest_event_of_a_stream_is_known_and_a_stream_that_was_deleted_is_made_again(aws: Aws) -> None:
    client = aws.client("logs")
    client.create_log_group(logGroupName="group")
    stream = LogStream(client, "group", "run/0001")
    now_ms = int(time.time() * 1000)

    before = stream.last_ms()
    stream.put([(now_ms, "one"), (now_ms + 5, "two")])
    newest = stream.last_ms()
    client.delete_log_stream(logGroupName="group", logStreamName="run/0001")
    with pytest.raises(AwsRefused):
        stream.put([(now_ms, "lost?")])
    stream.put([(now_ms, "again")])

    assert (before, newest) == (None, now_ms + 5)
    assert stream.last_ms() == now_ms


@pytest.mark.parametrize(
    ("info", "refused"),
    [
        ({}, 0),
        ({"tooNewLogEventStartIndex": 1}, 3),
        ({"tooOldLogEventEndIndex": 2}, 2),
        ({"expiredLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}, 2),
    ],
)
def test_lines_that_cloudwatch_drops_with_http_200_are_counted(aws: Aws, info: dict[str, int], refused: int) -> None:
    client = aws.client("logs")
    events = [(1_000, "line")] * 4
    with Stubber(client) as stubber:
        stubber.add_response("create_log_stream", {})
        stubber.add_response("put_log_events", {"rejectedLogEventsInfo": info} if info else {})

        assert LogStream(client, "group", "stream").put(events) == refused


def test_batch_that_is_no_valid_one_is_refused_once_and_for_all(aws: Aws) -> None:
    client = aws.client("logs")
    with Stubber(client) as stubber:
        stubber.add_response("create_log_stream", {})
        stubber.add_client_error("put_log_events", "InvalidParameterException")

        assert LogStream(client, "group", "stream").put([(1_000, "line")]) == 1


def test_event_goes_to_our_bus(aws: Aws) -> None:
    client = aws.client("events")
    with Stubber(client) as stub:
        entry = {"Source": "runctl.agent", "DetailType": "Progress", "Detail": "{}", "EventBusName": "runctl"}
        stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": [entry]})

        EventBridgeBus(client, "runctl").put("Progress", "{}")

        stub.assert_no_pending_responses()


def test_event_that_was_refused_with_http_200_is_an_error(aws: Aws) -> None:
    client = aws.client("events")
    with Stubber(client) as stub:
        refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
        stub.add_response("put_events", {"FailedEntryCount": 1, "Entries": [refused]})

        with pytest.raises(OSError, match="ThrottlingException"):
            EventBridgeBus(client, "runctl").put("Progress", "{}")


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_token_that_nobody_waits_for_is_dead(aws: Aws, code: str) -> None:
    client = aws.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("send_task_heartbeat", code)

        with pytest.raises(DeadTokenError):
            TaskHeartbeats(client, lambda: None).send("token")


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_other_refusals_of_a_heartbeat_are_no_dead_token(aws: Aws, code: str) -> None:
    client = aws.client("stepfunctions")
    with Stubber(client) as stub:
        stub.add_client_error("send_task_heartbeat", code)

        with pytest.raises(AwsRefused):
            TaskHeartbeats(client, lambda: None).send("token")


class _Handler(http.server.BaseHTTPRequestHandler):
    """Instance metadata that fails a few times, and an AWS that takes any call."""

    failures = 0

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_PUT(self) -> None:
        self._answer("token")

    def do_GET(self) -> None:
        if _Handler.failures:
            _Handler.failures -= 1
            self._answer("", 503)
        elif self.path.endswith("/security-credentials/"):
            self._answer("machine-role")
        else:
            end = datetime.now(UTC) + timedelta(hours=6)
            keys = {"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T", "Expiration": end.isoformat()}
            self._answer(json.dumps({"Code": "Success", **keys}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer('{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}')

    def _answer(self, body: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine with no credentials but those of its role."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_metadata_that_fails_now_and_then_costs_no_call(machine: None) -> None:
    """A start command whose supervisor finds no credentials is a machine lost."""
    _Handler.failures = 3

    EventBridgeBus(Aws(REGION).client("events"), "bus").put("Progress", "{}")

    assert _Handler.failures == 0


def test_secrets_are_read_from_both_services(aws: Aws) -> None:
    aws.client("ssm").put_parameter(Name="/runctl/secrets/a", Value="hunter2", Type="SecureString")
    made = aws.client("secretsmanager").create_secret(Name="runctl/b", SecretString="swordfish")
    reader = SecretReader({name: aws.client(name) for name in ("ssm", "secretsmanager")})

    assert reader.read("ssm:/runctl/secrets/a") == "hunter2"
    assert reader.read("secretsmanager:runctl/b") == "swordfish"
    assert reader.read(f"secretsmanager:{made['ARN']}") == "swordfish"


def test_secret_that_is_missing_or_no_text_is_an_error_of_ours(aws: Aws) -> None:
    aws.client("secretsmanager").create_secret(Name="runctl/b", SecretBinary=b"\x00")
    reader = SecretReader({name: aws.client(name) for name in ("ssm", "secretsmanager")})

    with pytest.raises(AwsRefused, match="ParameterNotFound"):
        reader.read("ssm:/runctl/secrets/a")
    with pytest.raises(OSError, match="binary"):
        reader.read("secretsmanager:runctl/b")
