"""The agent's calls of AWS, through the vendored botocore; credentials are the machine's role's, from IMDS.

botocore's errors do not leave this module: what may work later is an OSError.
"""

import base64
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import botocore.auth
import botocore.session
import botocore.utils
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from runctl.agent.events import SOURCE
from runctl.agent.heartbeat import DeadTokenError

# Sums are only calculated where asked for: uploads carry their own SHA-256 or MD5 (Amazon S3 User Guide, "Checking
# object integrity").
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=8,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

# A batch of the log that got no answer may have arrived: whoever sent it asks before it is sent again.
_ASKED_ONCE = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

# By default the metadata are asked once for the role's credentials, for one second (AWS SDKs and Tools Reference Guide,
# "IMDS credential provider"); botocore asks again minutes before they expire, which is several times a day.
_METADATA = {"metadata_service_num_attempts": 5, "metadata_service_timeout": 2}

_DEAD_TOKEN_CODES = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
_MISSING_CODE = "ResourceNotFoundException"
_INVALID_CODE = "InvalidParameterException"
_EXISTS_CODES = frozenset({"ResourceAlreadyExistsException"})


class AwsRefused(OSError):
    """AWS answered with an error; `code` is AWS's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def _sign_by(now: Callable[[], datetime]) -> None:
    """Let botocore sign by a clock of ours, and take credentials that are valid by it: it knows the machine's only, and
    AWS refuses what is signed with a time that is wrong by minutes. For the whole process; its version is pinned.
    """

    def current(remove_tzinfo: bool = True) -> datetime:
        return now().replace(tzinfo=None) if remove_tzinfo else now()

    for module in (botocore.auth, botocore.utils):
        setattr(module, "get_current_datetime", current)  # noqa: B010 - a name that its stubs do not know


@contextmanager
def aws_errors() -> Generator[None]:
    """Turn botocore's errors into ours."""
    try:
        yield
    except ClientError as error:
        details: dict[str, Any] = dict(error.response.get("Error", {}))
        raise AwsRefused(str(details.get("Code", "")), str(details.get("Message", ""))) from error
    except BotoCoreError as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


class Aws:
    """One session; clients are made when first asked for, for each costs time."""

    def __init__(self, region: str, now: Callable[[], datetime] | None = None) -> None:
        """`now`: the time of day where the machine's own may be wrong."""
        self._region = region
        self._now = now
        if now is not None:
            _sign_by(now)
        self._session = botocore.session.Session()
        for variable, value in _METADATA.items():
            self._session.set_config_variable(variable, value)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Make, or find, a client. Clients may be used by several threads; making one may not."""
        if service not in self._clients:
            config = _ASKED_ONCE if service == "logs" else _CONFIG
            self._clients[service] = self._session.create_client(service, region_name=self._region, config=config)
            credentials = self._session.get_credentials()
            if self._now is not None and hasattr(credentials, "_time_fetcher"):
                setattr(credentials, "_time_fetcher", self._now)  # noqa: B010 - as in `_sign_by`
        return self._clients[service]


class EventBridgeBus:
    """`events:PutEvents` on our bus."""

    def __init__(self, client: Any, bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def put(self, kind: str, detail: str) -> None:
        """Put one event. A refused entry comes with HTTP 200 (EventBridge API Reference, PutEvents)."""
        entry = {"Source": SOURCE, "DetailType": kind, "Detail": detail, "EventBusName": self._bus_name}
        with aws_errors():
            answer = self._client.put_events(Entries=[entry])
        if answer.get("FailedEntryCount"):
            refused = answer["Entries"][0]
            raise AwsRefused(str(refused.get("ErrorCode", "")), str(refused.get("ErrorMessage", "")))


class TaskHeartbeats:
    """`states:SendTaskHeartbeat`, the only call of Step Functions that the machine may make."""

    def __init__(self, client: Any, read_token: Callable[[], str | None]) -> None:
        self._client = client
        self._read_token = read_token

    def newest_token(self) -> str | None:
        """Read the hand-off's token; None when the hand-off is for another attempt."""
        return self._read_token()

    def send(self, token: str) -> None:
        """Send one. Raises DeadTokenError when nobody waits for the token any more, else OSError."""
        try:
            with aws_errors():
                self._client.send_task_heartbeat(taskToken=token)
        except AwsRefused as error:
            if error.code in _DEAD_TOKEN_CODES:
                raise DeadTokenError(error.code) from error
            raise


class SecretReader:
    """Parameters of Systems Manager and secrets of Secrets Manager, by what stands before the colon of a place."""

    def __init__(self, clients: Mapping[str, Any]) -> None:
        """Take a client for each service that is read from, under botocore's name."""
        self._clients = clients

    def read(self, place: str) -> str:
        """Read one. Raises AwsRefused, or OSError when AWS cannot be reached or the secret is no text."""
        service, _, name = place.partition(":")
        client = self._clients[service]
        with aws_errors():
            if service == "ssm":
                answer = client.get_parameter(Name=name, WithDecryption=True)
                return str(answer["Parameter"]["Value"])
            answer = client.get_secret_value(SecretId=name)
        if "SecretString" not in answer:
            raise OSError("it is binary, and a variable holds text")
        return str(answer["SecretString"])


class EcrRegistry:
    """The account's own registry of images."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def password(self) -> str:
        """Ask for the password of the user `AWS`, which is valid for twelve hours (Amazon ECR API Reference,
        GetAuthorizationToken). Raises AwsRefused or OSError."""
        with aws_errors():
            (answer,) = self._client.get_authorization_token()["authorizationData"]
        return base64.b64decode(answer["authorizationToken"]).decode().partition(":")[2]


class LogStream:
    """One stream of CloudWatch Logs."""

    def __init__(self, client: Any, group: str, stream: str) -> None:
        self._client = client
        self._group = group
        self._stream = stream
        self._exists = False

    def put(self, events: list[tuple[int, str]]) -> int:
        """Put a batch of (milliseconds since 1970, message); makes the stream before the first. Says how many were
        refused: with HTTP 200, for their time is too far from the service's own, or with the whole batch."""
        if not self._exists:
            self._create()
        entries = [{"timestamp": timestamp, "message": message} for timestamp, message in events]
        try:
            with aws_errors():
                answer = self._client.put_log_events(
                    logGroupName=self._group, logStreamName=self._stream, logEvents=entries
                )
        except AwsRefused as error:
            if error.code == _MISSING_CODE:  # somebody deleted the stream
                self._exists = False
            if error.code != _INVALID_CODE:
                raise
            return len(events)  # the same batch would be refused for ever
        return _refused(answer.get("rejectedLogEventsInfo") or {}, len(events))

    def last_ms(self) -> int | None:
        """Ask for the newest event."""
        try:
            with aws_errors():
                answer = self._client.get_log_events(
                    logGroupName=self._group, logStreamName=self._stream, startFromHead=False, limit=1
                )
        except AwsRefused as error:
            if error.code == _MISSING_CODE:
                return None
            raise
        return max((int(event["timestamp"]) for event in answer["events"]), default=None)

    def _create(self) -> None:
        try:
            with aws_errors():
                self._client.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
        except AwsRefused as error:
            if error.code not in _EXISTS_CODES:
                raise
        self._exists = True


def _refused(info: Mapping[str, int], count: int) -> int:
    """Count what RejectedLogEventsInfo names: events from the first that is too new, and up to the last that is too old
    or expired (CloudWatch Logs API Reference)."""
    too_old = max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0))
    return min(count, too_old + count - info.get("tooNewLogEventStartIndex", count))
