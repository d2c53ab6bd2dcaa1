"""Where webhooks are kept, and how they are posted to."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import boto3
import pytest
from botocore.stub import ANY

from runctl.aws.slack_function import SlackFunction
from runctl.aws.slack_posts import SlackPosts
from runctl.aws.slack_webhooks import Audience, SlackWebhooks
from runctl.aws.subscriptions import Subscription, Subscriptions
from runctl.errors import PermissionDenied
from runctl.model.slack import SlackAnswer, SlackMessage
from tests.contract.stubs import stubbed

URL = "https://hooks.slack.com/services/x/y/abcdefghijklmnopqrstuvwx"


@pytest.fixture
def ssm(aws: None) -> Any:
    return boto3.client("ssm", region_name="us-east-1")


def test_an_address_is_kept_encrypted_and_shown_masked(ssm: Any) -> None:
    webhooks = SlackWebhooks(ssm, "runctl")

    added = webhooks.add(URL)

    (name,) = webhooks.names()
    kept = ssm.get_parameter(Name=name, WithDecryption=False)["Parameter"]
    assert name.startswith("/runctl/slack-webhooks/hooks.slack.com/")
    assert kept["Type"] == "SecureString"
    assert webhooks.all() == (added,)
    assert (added.protocol, added.is_confirmed) == ("slack-webhook", True)
    assert added.endpoint.startswith("https://hooks.slack.com/****")
    assert not any(part in name + added.endpoint for part in ("x/y", "abcdef", "uvwx"))
    assert webhooks.url(name) == URL


def test_adding_twice_keeps_one(ssm: Any) -> None:
    webhooks = SlackWebhooks(ssm, "runctl")

    assert webhooks.add(URL) == webhooks.add(URL)
    assert len(webhooks.names()) == 1


@pytest.mark.parametrize("by_mask", [True, False])
def test_one_is_removed_by_its_address_or_by_what_is_shown_of_it(ssm: Any, by_mask: bool) -> None:
    webhooks = SlackWebhooks(ssm, "runctl")
    added = webhooks.add(URL)
    other = webhooks.add(f"{URL}2")

    removed = webhooks.remove(added.endpoint if by_mask else URL)

    assert (removed, webhooks.all()) == (1, (other,))
    assert webhooks.remove(URL) == 0
    assert webhooks.remove("https://hooks.slack.com/****0000") == 0


def test_another_deployments_webhooks_are_not_ours(ssm: Any) -> None:
    SlackWebhooks(ssm, "other").add(URL)

    assert SlackWebhooks(ssm, "runctl").all() == ()


def test_a_parameter_that_is_gone_has_no_address(ssm: Any) -> None:
    assert SlackWebhooks(ssm, "runctl").url("/runctl/slack-webhooks/hooks.slack.com/0") is None


def test_a_parameter_carries_the_stacks_tag() -> None:
    with stubbed("ssm", lambda client: SlackWebhooks(client, "runctl")) as (webhooks, stubber):
        tags = [{"Key": "runctl:stack", "Value": "runctl"}]
        asked = {"Name": ANY, "Description": ANY, "Value": URL, "Type": "SecureString", "Tags": tags}
        stubber.add_response("put_parameter", {"Version": 1}, expected_params=asked)

        webhooks.add(URL)


def test_a_refused_permission_is_loud() -> None:
    with stubbed("ssm", lambda client: SlackWebhooks(client, "runctl")) as (webhooks, stubber):
        stubber.add_client_error("describe_parameters", service_error_code="AccessDeniedException")

        with pytest.raises(PermissionDenied):
            webhooks.all()


def test_all_who_hear_are_listed_together(ssm: Any) -> None:
    sns = boto3.client("sns", region_name="us-east-1")
    audience = Audience(Subscriptions(sns, sns.create_topic(Name="runctl")["TopicArn"]), SlackWebhooks(ssm, "runctl"))

    audience.add("email", "ada@example.org")
    audience.add("slack-webhook", URL)

    assert [each.protocol for each in audience.all()] == ["email", "slack-webhook"]
    assert audience.remove(URL) == 1
    assert Subscription("slack-webhook", URL, is_confirmed=True) not in audience.all()


def test_a_message_is_handed_on_without_waiting_for_it() -> None:
    with stubbed("lambda", lambda client: SlackFunction(client, "runctl-tell_slack")) as (function, stubber):
        message = SlackMessage(webhook="/one", subject="s", text="t")
        asked = {
            "FunctionName": "runctl-tell_slack",
            "InvocationType": "Event",
            "Payload": message.model_dump_json().encode(),
        }
        stubber.add_response("invoke", {"StatusCode": 202}, expected_params=asked)

        function.hand_on(message)


class _Receiver(ThreadingHTTPServer):
    """Answers as it is told, and keeps what is posted."""

    def __init__(self) -> None:
        self.status, self.headers_out = 200, dict[str, str]()
        self.posted: list[tuple[str, str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/x/y/secret?a=b"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = cast("_Receiver", self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(server.status)
        for name, value in server.headers_out.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    server = _Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_text_is_posted_as_slack_wants_it(receiver: _Receiver) -> None:
    answer = SlackPosts().post(receiver.url, "loss: ½")

    assert answer == SlackAnswer(200)
    assert receiver.posted == [("/services/x/y/secret?a=b", "application/json; charset=utf-8", {"text": "loss: ½"})]


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "30"}, 30.0), ({}, None), ({"Retry-After": "?"}, None)]
)
def test_what_slack_asks_for_beside_a_refusal_is_read(
    receiver: _Receiver, header: dict[str, str], seconds: float | None
) -> None:
    receiver.status, receiver.headers_out = 429, header

    assert SlackPosts().post(receiver.url, "boom") == SlackAnswer(429, seconds)


def test_a_redirect_is_not_followed(receiver: _Receiver) -> None:
    receiver.status, receiver.headers_out = 302, {"Location": receiver.url.replace("secret", "elsewhere")}

    assert SlackPosts().post(receiver.url, "boom") == SlackAnswer(302)
    assert len(receiver.posted) == 1


def test_nobody_there_is_no_answer() -> None:
    assert SlackPosts().post("http://127.0.0.1:9/hook", "boom") == SlackAnswer(status=None)


def test_nothing_goes_elsewhere_in_the_clear(receiver: _Receiver) -> None:
    in_the_clear = receiver.url.replace("127.0.0.1", "127.0.0.2")

    assert SlackPosts().post(in_the_clear, "boom") == SlackAnswer(status=None)
    assert receiver.posted == []


def test_all_are_forgotten_at_the_end_of_a_deployment(ssm: Any) -> None:
    webhooks = SlackWebhooks(ssm, "runctl")
    webhooks.add(URL)
    webhooks.add(f"{URL}2")

    assert (webhooks.clear(), webhooks.clear()) == (2, 0)
