"""A run of thirty days in seconds: tokens are replaced, sessions expire, credentials rotate, and nothing runs out."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore.auth
import botocore.utils
import pytest

from runctl.agent.clients import Aws
from runctl.agent.clock import CorrectedClock
from runctl.agent.ending import Act
from runctl.agent.imds import TOKEN_TTL_S, Imds
from runctl.agent.request_files import Request, leave
from tests.agent.beside import Beside
from tests.agent.fakes import START

DAYS = 30
DAY_S = 86_400.0
EACH_S = 900


def test_training_of_thirty_days_is_left_alone_and_nothing_of_it_is_missing(tmp_path: Path) -> None:
    days = {"max_runtime_s": int(DAYS * DAY_S) + 1, "heartbeat_interval_s": EACH_S}
    beside = Beside(tmp_path, keep_checkpoints=3, **days)
    told: set[Act] = set()
    for day in range(DAYS):
        # A state that is tried again waits with another token, which the hand-off holds.
        beside.heartbeats.living = beside.heartbeats.handed_off = f"token {day}"
        for quarter in range(4):
            beside.print(f"day {day}.{quarter}")
            beside.save(day * 4 + quarter + 1)
            told |= beside.ticks(DAY_S / 4, EACH_S)

    assert told == {Act.NOTHING}
    assert beside.heartbeats.sent >= DAYS * DAY_S / EACH_S
    assert beside.printed == [f"day {day}.{quarter}" for day in range(DAYS) for quarter in range(4)]
    assert beside.checkpoints == [DAYS * 4 - 2, DAYS * 4 - 1, DAYS * 4]
    assert beside.warnings == []
    assert len(beside.bus.events) <= DAYS * 24 * 12


def test_deadline_of_thirty_days_is_kept_to_the_minute(tmp_path: Path) -> None:
    beside = Beside(tmp_path, max_runtime_s=int(DAYS * DAY_S))

    before = beside.ticks(DAYS * DAY_S - 900.0, 900.0) | beside.ticks(840.0, 60.0)
    at = beside.tick(60.0)

    assert before == {Act.NOTHING}
    assert at.act is Act.LEAVE


def test_stop_after_thirty_days_is_heard(tmp_path: Path) -> None:
    beside = Beside(tmp_path, max_runtime_s=int(DAYS * DAY_S) + 3_600)
    beside.ticks(DAYS * DAY_S, 600.0)

    leave(beside.folder.requests, Request.STOP)

    assert beside.tick(1.0).act is Act.LEAVE


class MetadataService:
    """IMDS by a clock that is moved: sessions that expire, credentials that rotate, and the time in every answer."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sessions: dict[str, float] = {}
        self.keys_handed_out: set[str] = set()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                token = f"session-{len(service.sessions)}"
                life_s = float(self.headers["X-aws-ec2-metadata-token-ttl-seconds"])
                service.sessions[token] = service.seconds + life_s
                self._answer(200, token)

            def do_GET(self) -> None:
                if service.sessions.get(self.headers["X-aws-ec2-metadata-token"], -1.0) <= service.seconds:
                    self._answer(401, "")
                elif self.path.endswith("/security-credentials/"):
                    self._answer(200, "role")
                elif self.path.endswith("/security-credentials/role"):
                    self._answer(200, service.credentials())
                else:
                    self._answer(404, "")

            def _answer(self, status: int, text: str) -> None:
                self.send_response_only(status)
                self.send_header("Date", service.now().strftime("%a, %d %b %Y %H:%M:%S GMT"))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def credentials(self) -> str:
        """Of the present six hours."""
        number = int(self.seconds // 21_600)
        key = f"AKIA{number}"
        self.keys_handed_out.add(key)
        expiry = START + timedelta(hours=6 * (number + 1), minutes=10)
        found = {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": expiry.strftime("%FT%TZ")}
        return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": expiry.strftime("%FT%TZ"), **found})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataService]:
    made = MetadataService()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", made.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/absent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/absent")
    for module, name in (
        (botocore.auth, "get_current_datetime"),
        (botocore.utils, "get_current_datetime"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # given back at the end
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_sessions_of_the_metadata_expire_and_are_renewed_for_thirty_days(service: MetadataService) -> None:
    metadata = Imds(service.url)
    for _ in range(DAYS * 24):
        assert metadata.get("spot/instance-action") is None
        service.seconds += 3_600.0

    assert len(service.sessions) >= DAYS * DAY_S / TOKEN_TTL_S


def test_credentials_rotate_for_thirty_days_and_the_newest_sign(service: MetadataService) -> None:
    client = Aws("eu-central-1", service.now).client("stepfunctions")
    signed: list[str] = []
    client.meta.events.register("before-send", lambda request, **_: signed.append(request.headers["Authorization"]))
    client.meta.events.register("before-send", lambda **_: (_ for _ in ()).throw(InterruptedError))
    for _ in range(DAYS * 4):
        with pytest.raises(InterruptedError):
            client.send_task_heartbeat(taskToken="x")
        service.seconds += 21_600.0

    assert len({_text(one).split("Credential=")[1].split("/")[0] for one in signed}) == DAYS * 4


@pytest.mark.parametrize("hours", [-5, 5, 20])
def test_clock_that_is_wrong_by_hours_is_corrected_for_signing_and_credentials(
    service: MetadataService, hours: int
) -> None:
    service.seconds = (datetime.now(UTC) - START).total_seconds() - hours * 3_600
    metadata = Imds(service.url)
    metadata.get("spot/instance-action")
    clock = CorrectedClock(metadata.clock_error_s)
    client = Aws("eu-central-1", clock.now).client("stepfunctions")
    signed: list[str] = []
    client.meta.events.register("before-send", lambda request, **_: signed.append(request.headers["X-Amz-Date"]))
    client.meta.events.register("before-send", lambda **_: (_ for _ in ()).throw(InterruptedError))

    with pytest.raises(InterruptedError):
        client.send_task_heartbeat(taskToken="x")

    at = datetime.strptime(f"{_text(signed[0])}+0000", "%Y%m%dT%H%M%SZ%z")
    assert abs((at - service.now()).total_seconds()) < 60
    assert abs((clock.now() - service.now()).total_seconds()) < 60
    assert metadata.clock_error_s() == pytest.approx(hours * 3_600, abs=30)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def test_clock_that_is_right_is_left_alone(service: MetadataService) -> None:
    service.seconds = time.time() - START.timestamp()
    metadata = Imds(service.url)
    metadata.get("spot/instance-action")

    assert metadata.clock_error_s() == 0.0
