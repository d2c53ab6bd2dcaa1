"""What the topic of a deployed stack tells reaches a Slack webhook of this machine, or the dead-letter queue."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

WHERE = "channel/of-team/abcdefghijklmnopqrstuvwx"


class Slack(ThreadingHTTPServer):
    """Answers each post with the next of these statuses, and then with 200; keeps what it took."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked_at: list[float] = []
        self.taken: list[Any] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Address of the webhook."""
        return f"http://127.0.0.1:{self.server_address[1]}/services/{WHERE}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        slack = cast("Slack", self.server)
        slack.asked_at.append(time.monotonic())
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, headers = slack.answers.pop(0) if slack.answers else (200, {})
        if status == 200:
            slack.taken.append(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def slack(cloud: Cloud) -> Iterator[Slack]:
    """A webhook that hears of runs."""
    server = Slack()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    assert cloud.runctl("notify", "add", "slack-webhook", server.url).exit_code == 0
    yield server
    cloud.runctl("notify", "remove", server.url)
    server.shutdown()
    server.server_close()
    thread.join()


def _publish(cloud: Cloud, text: str) -> None:
    topic = next(
        each["TopicArn"] for each in cloud.client("sns").list_topics()["Topics"] if "runctl" in each["TopicArn"]
    )
    cloud.client("sns").publish(TopicArn=topic, Subject="runctl: digits FAILED", Message=text)


def test_the_end_of_a_run_reaches_slack_once_and_its_address_is_nowhere_to_be_read(cloud: Cloud, slack: Slack) -> None:
    run_id = cloud.train("count.py", "3", "0.1")

    cloud.wait_until(lambda: slack.taken or None, "what Slack is told")
    run = cloud.wait_for_end(run_id)
    listed = cloud.runctl("notify", "list")

    time.sleep(1)
    (body,) = slack.taken
    assert set(body) == {"text"}
    assert body["text"].startswith(f"*runctl: {run['name']} SUCCEEDED*\n")
    assert run_id in body["text"]
    (webhook,) = [each for each in listed.data["subscriptions"] if each["protocol"] == "slack-webhook"]
    assert webhook["endpoint"].startswith("https://127.0.0.1_")
    assert WHERE not in listed.stdout + listed.stderr + _logs(cloud) + _template(cloud) + _tables(cloud)


def test_a_webhook_that_is_asked_too_often_gets_the_time_that_it_asks_for(cloud: Cloud, slack: Slack) -> None:
    slack.answers = [(429, {"Retry-After": "2"}), (503, {})]

    _publish(cloud, "boom")

    cloud.wait_until(lambda: slack.taken or None, "the message after a refusal and a fault")
    first, second, third = slack.asked_at
    assert second - first >= 2
    assert third - second >= 2
    assert slack.taken == [{"text": "*runctl: digits FAILED*\nboom"}]


def test_a_message_that_a_webhook_refuses_ends_in_the_dead_letter_queue(cloud: Cloud, slack: Slack) -> None:
    slack.answers = [(404, {})] * 50
    sqs = cloud.client("sqs")
    (queue,) = [url for url in sqs.list_queues()["QueueUrls"] if "DeadLetters" in url]

    _publish(cloud, "nobody is there")

    def look() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
            body = json.loads(message["Body"])
            if body["requestPayload"].get("text") == "nobody is there":
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                return cast("dict[str, Any]", body)
        return None

    letter = cloud.wait_until(look, "the message in the dead-letter queue")
    assert letter["requestContext"]["condition"] == "RetriesExhausted"
    assert letter["responsePayload"]["errorType"] == "SlackRefused"
    assert "HTTP 404" in letter["responsePayload"]["errorMessage"]
    assert WHERE not in json.dumps(letter)
    assert len(slack.asked_at) == 4  # once for the topic, three times in invocations of its own
    assert WHERE not in _logs(cloud)


def _logs(cloud: Cloud) -> str:
    logs = cloud.client("logs")
    found = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    assert any("tell_slack" in name for name in found)
    return json.dumps([logs.filter_log_events(logGroupName=name)["events"] for name in found])


def _template(cloud: Cloud) -> str:
    return json.dumps(cloud.client("cloudformation").get_template(StackName="runctl")["TemplateBody"])


def _tables(cloud: Cloud) -> str:
    dynamodb = cloud.client("dynamodb")
    return json.dumps([dynamodb.scan(TableName=name)["Items"] for name in dynamodb.list_tables()["TableNames"]])
