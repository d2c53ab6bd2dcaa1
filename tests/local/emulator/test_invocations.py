"""How functions are invoked: in environments of their own, with AWS's errors, again after failures.

What AWS does: Lambda Developer Guide, "Defined runtime environment variables", "How Lambda handles errors and retries
with asynchronous invocation", "Lambda quotas"; EventBridge User Guide, "Using dead-letter queues to process undelivered
events".
"""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.emulator.services import Services

pytestmark = pytest.mark.local_cloud


def _invoke(services: Services, handler: str, event: Any = None) -> tuple[dict[str, Any], Any]:
    answer = services.lambdas.invoke(
        FunctionName=services.functions[handler], Payload=json.dumps(event), LogType="Tail"
    )
    return answer, json.loads(answer["Payload"].read())


def test_function_finds_the_environment_that_lambda_defines(services: Services) -> None:
    _, facts = _invoke(services, "facts")

    variables = facts["variables"]
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == facts["name"]
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.12"
    assert variables["TOLD_QUEUE_URL"] == services.queue_urls["told"]
    assert facts["arn"] == services.functions["facts"]
    assert "PYTHONPATH" not in variables


def test_log_of_an_invocation_comes_back_with_it(services: Services) -> None:
    answer, _ = _invoke(services, "facts")

    assert "a line" in base64.b64decode(answer["LogResult"]).decode()


def test_environment_is_used_again_and_survives_an_exception(services: Services) -> None:
    first = _invoke(services, "facts")[1]["pid"]
    second = _invoke(services, "facts")[1]["pid"]
    failures = [
        _invoke(services, "fail_until", {"key": "again", "failures": 10_000})[1]["errorMessage"] for _ in range(2)
    ]

    assert first == second
    assert failures == ["call 1", "call 2"]


def test_exception_is_reported_as_the_python_runtime_does(services: Services) -> None:
    answer, error = _invoke(services, "fail")

    assert answer["FunctionError"] == "Unhandled"
    assert set(error) == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert error["errorType"] == "CapacityUnavailable"
    assert "functions.py" in error["stackTrace"][0]


def test_function_that_takes_too_long_is_ended(services: Services) -> None:
    answer, error = _invoke(services, "sleep", {"seconds": 30})

    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in error["errorMessage"]


def test_function_that_exits_is_an_error_and_the_next_call_works(services: Services) -> None:
    answer, error = _invoke(services, "leave")

    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == "Runtime.ExitError"


def test_eleventh_invocation_at_once_is_throttled(services: Services) -> None:
    # botocore repeats a throttled call by itself otherwise.
    lambdas = services.client("lambda", retries={"total_max_attempts": 1}, max_pool_connections=20)

    def invoke() -> str:
        try:
            lambdas.invoke(FunctionName=services.functions["sleep"], Payload=b'{"seconds": 0.8}')
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "ran"

    with ThreadPoolExecutor(14) as pool:
        outcomes = list(pool.map(lambda _: invoke(), range(14)))

    assert outcomes.count("ran") == 10
    assert outcomes.count("TooManyRequestsException") == 4


def test_failed_asynchronous_invocation_is_retried_and_then_told_to_its_destination(services: Services) -> None:
    services.lambdas.invoke(FunctionName=services.functions["fail"], InvocationType="Event", Payload=b'{"n": 1}')

    (message,) = services.messages("failed", 1)

    record = message["Body"]
    assert record["requestPayload"] == {"n": 1}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["responsePayload"]["errorType"] == "CapacityUnavailable"


def test_event_of_a_function_that_may_not_run_waits_until_it_may(services: Services) -> None:
    name = services.functions["tell"]
    services.lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    services.lambdas.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"held": "back"}')

    meanwhile = services.messages("told", 0)
    services.lambdas.delete_function_concurrency(FunctionName=name)
    (message,) = services.messages("told", 1)

    assert meanwhile == []
    assert message["Body"] == {"held": "back"}


def test_events_function_that_fails_goes_to_its_destination_not_to_the_rules_queue(services: Services) -> None:
    services.events.put_events(Entries=[{"Source": "test.fail", "DetailType": "x", "Detail": '{"n": 2}'}])

    (message,) = services.messages("failed", 1)

    assert message["Body"]["requestPayload"]["detail"] == {"n": 2}
    assert services.messages("undelivered", 0) == []


@pytest.mark.parametrize(
    ("suffix", "code"), [("-gone", "NO_RESOURCE"), ("", "NO_PERMISSIONS")], ids=["gone", "without-permission"]
)
def test_undeliverable_event_goes_to_the_rules_dead_letter_queue(services: Services, suffix: str, code: str) -> None:
    queue_arn = services.sqs.get_queue_attributes(
        QueueUrl=services.queue_urls["undelivered"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    target_arn = services.functions["echo"] + suffix
    source = f"test.{code}"
    services.events.put_rule(Name=code, EventPattern=json.dumps({"source": [source]}))
    target = {"Id": "1", "Arn": target_arn, "DeadLetterConfig": {"Arn": queue_arn}}
    services.events.put_targets(Rule=code, Targets=[target])

    services.events.put_events(Entries=[{"Source": source, "DetailType": "x", "Detail": '{"n": 3}'}])
    (message,) = services.messages("undelivered", 1)

    assert message["Body"]["detail"] == {"n": 3}
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == target_arn
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == code


def test_function_reaches_the_other_services(services: Services) -> None:
    _invoke(services, "tell", {"hello": "queue"})

    (message,) = services.messages("told", 1)

    assert message["Body"] == {"hello": "queue"}


def test_events_of_aws_itself_cannot_be_put_by_anybody(services: Services) -> None:
    answer = services.events.put_events(Entries=[{"Source": "aws.ec2", "DetailType": "x", "Detail": "{}"}])

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
