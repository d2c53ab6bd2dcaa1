"""What a topic says reaches a mail server and a web server of this machine."""

import json
import socketserver
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from runctl.aws.notifications import SnsNotifications
from runctl.aws.subscriptions import Subscription, Subscriptions
from runctl.local.cloud import LocalCloud
from runctl.local.emulator.mends.mail import SMTP_VARIABLE
from tests.local.emulator.assembly import write_assembly
from tests.local.emulator.functions import SOURCE, TEMPLATE
from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud

PATIENCE_S = 20.0


class MailServer(socketserver.ThreadingTCPServer):
    """As much of SMTP as a client needs to hand over a message (RFC 5321)."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        super().__init__(("127.0.0.1", 0), _MailHandler)


class _MailHandler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            verb = line.split()[0].upper()
            if verb == b"DATA":
                self._say("354 go on")
                self._take()
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            self._say("250 fine")

    def _take(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        cast("MailServer", self.server).mails.append(b"".join(lines).decode())

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class WebServer(ThreadingHTTPServer):
    """Keeps what is posted."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.posted: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _WebHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _WebHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = cast("WebServer", self.server)
        server.kinds.append(self.headers["x-amz-sns-message-type"])
        server.posted.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    yield from _serving(MailServer())


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    yield from _serving(WebServer())


def _serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def client(mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """SNS of a local cloud that knows the mail server."""
    root: Path = tmp_path_factory.mktemp("notifications")
    cloud = LocalCloud(root / "state", assembly_dir=write_assembly(root / "a", TEMPLATE, {"functions.py": SOURCE}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SMTP_VARIABLE, f"127.0.0.1:{mail_server.server_address[1]}")
        cloud.up(say=lambda _: None)
    yield Services(cloud.environment(), {}, {}, {}).client("sns")
    cloud.down(say=lambda _: None)


def until(condition: Any) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def test_what_is_told_comes_by_mail(client: Any, mail_server: MailServer) -> None:
    topic = client.create_topic(Name="by-mail")["TopicArn"]
    subscriptions = Subscriptions(client, topic)
    subscriptions.add("email", "ada@example.org")

    SnsNotifications(client, topic).send("runctl: digits FAILED", "FAILED, USER_ERROR.\nThe last line: boom")

    until(lambda: mail_server.mails)
    (mail,) = mail_server.mails
    assert "To: ada@example.org" in mail
    assert "Subject: runctl: digits FAILED" in mail
    assert "The last line: boom" in mail
    assert subscriptions.all() == (Subscription("email", "ada@example.org", is_confirmed=True),)


def test_an_endpoint_hears_after_it_has_opened_the_address_that_it_is_sent(client: Any, web_server: WebServer) -> None:
    topic = client.create_topic(Name="by-web")["TopicArn"]
    subscriptions = Subscriptions(client, topic)

    added = subscriptions.add("http", web_server.url)
    until(lambda: web_server.posted)
    SnsNotifications(client, topic).send("too early", "not for those who have not confirmed")
    listed = subscriptions.all()
    with urllib.request.urlopen(web_server.posted[0]["SubscribeURL"]) as answer:
        confirmed = answer.read().decode()
    SnsNotifications(client, topic).send("runctl: digits SUCCEEDED", "It cost $0.05.")
    until(lambda: len(web_server.posted) == 2)

    assert not added.is_confirmed
    assert [each.is_confirmed for each in listed] == [False]
    assert [each.is_confirmed for each in subscriptions.all()] == [True]
    assert "<SubscriptionArn>" in confirmed
    assert web_server.kinds == ["SubscriptionConfirmation", "Notification"]
    assert [body["Type"] for body in web_server.posted] == web_server.kinds
    assert (web_server.posted[1]["Subject"], web_server.posted[1]["Message"]) == (
        "runctl: digits SUCCEEDED",
        "It cost $0.05.",
    )
    assert (subscriptions.remove(web_server.url), subscriptions.all()) == (1, ())


def test_one_that_has_not_confirmed_is_asked_again_and_hears_by_the_new_address_only(
    client: Any, web_server: WebServer
) -> None:
    topic = client.create_topic(Name="asked-again")["TopicArn"]
    subscriptions = Subscriptions(client, topic)

    subscriptions.add("http", web_server.url)
    until(lambda: len(web_server.posted) == 1)
    again = subscriptions.add("http", web_server.url)
    until(lambda: len(web_server.posted) == 2)
    first, second = (body["SubscribeURL"] for body in web_server.posted)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(first)
    urllib.request.urlopen(second).close()

    assert not again.is_confirmed
    assert subscriptions.all() == (Subscription("http", web_server.url, is_confirmed=True),)
    assert subscriptions.remove(web_server.url) == 1
