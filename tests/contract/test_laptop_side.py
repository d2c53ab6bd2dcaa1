"""What a laptop asks: the stack's outputs, the training's log, the function stop_run."""

import io
import json
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody

from runctl import errors
from runctl.aws.reap_function import ReapFunction
from runctl.aws.sessions import Sessions
from runctl.aws.stack import read_outputs
from runctl.aws.stop_function import StopFunction
from runctl.aws.training_log import LogLine, LogPage, TrainingLog
from runctl.model.names import Output
from runctl.model.status import RunStatus
from runctl.model.stop import StopAnswer, StopCommand
from runctl.model.sweep import Deed, Sweep, SweepRequest
from tests.contract.examples import INSTANCE, RUN_ID, START
from tests.contract.stubs import stubbed

# -- the stack ---------------------------------------------------------------------------------------------------


def described(outputs: list[Output], status: str = "UPDATE_COMPLETE") -> dict[str, Any]:
    """Make the answer for a stack whose outputs say their own names."""
    stack = {
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/runctl/1",
        "StackName": "runctl",
        "StackStatus": status,
        "CreationTime": "2026-03-01T00:00:00Z",
        "Outputs": [{"OutputKey": output.value, "OutputValue": f"the {output.value}"} for output in outputs],
    }
    return {"Stacks": [stack]}


def test_the_stacks_outputs_are_read() -> None:
    with stubbed("cloudformation", lambda client: client) as (client, stubber):
        stubber.add_response("describe_stacks", described(list(Output)), expected_params={"StackName": "runctl"})

        outputs = read_outputs(client)

    assert outputs.runs_table == "the RunsTable"
    assert outputs.stop_run_function == "the StopRunFunction"
    assert outputs.version == "the Version"
    assert outputs.stack_id.startswith("arn:aws:cloudformation:us-east-1:")


def test_a_stack_that_is_not_there_is_not_deployed() -> None:
    with stubbed("cloudformation", lambda client: client) as (client, stubber):
        stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id runctl does not exist")

        with pytest.raises(errors.NotDeployedError) as raised:
            read_outputs(client, hint="Run: runctl local up")

    assert raised.value.hint == "Run: runctl local up"


def test_an_output_that_another_version_lacks_is_named() -> None:
    outputs = [output for output in Output if output is not Output.BUS_NAME]
    with stubbed("cloudformation", lambda client: client) as (client, stubber):
        stubber.add_response("describe_stacks", described(outputs))

        with pytest.raises(errors.NotDeployedError, match="BusName"):
            read_outputs(client)


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS"])
def test_a_stack_that_is_half_there_is_not_deployed(status: str) -> None:
    with stubbed("cloudformation", lambda client: client) as (client, stubber):
        stubber.add_response("describe_stacks", described(list(Output), status))

        with pytest.raises(errors.NotDeployedError, match=status):
            read_outputs(client)


def test_a_refused_look_at_the_stack_is_not_a_missing_stack() -> None:
    with stubbed("cloudformation", lambda client: client) as (client, stubber):
        stubber.add_client_error("describe_stacks", service_error_code="AccessDenied")

        with pytest.raises(errors.PermissionDenied):
            read_outputs(client)


# -- the log -----------------------------------------------------------------------------------------------------

GROUP = "/runctl/machines"
STREAM = f"{RUN_ID}/0001"


@pytest.fixture
def logs(aws: None) -> Any:
    """CloudWatch Logs' client on moto, with the group."""
    client = boto3.client("logs", region_name="us-east-1")
    client.create_log_group(logGroupName=GROUP)
    return client


def write(logs: Any, *texts: str, at_ms: int) -> None:
    """Add lines to the stream."""
    events = [{"timestamp": at_ms + number, "message": text} for number, text in enumerate(texts)]
    logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)


def now_ms() -> int:
    """Tell a time that CloudWatch Logs still takes events for."""
    import time

    return int(time.time() * 1_000) - 60_000


def test_a_log_is_read_from_the_start_and_followed(logs: Any) -> None:
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    start = now_ms()
    write(logs, "epoch 1", "epoch 2", at_ms=start)
    log = TrainingLog(logs, GROUP)

    first = log.page(STREAM)
    nothing_yet = log.page(STREAM, first.next_token)
    write(logs, "epoch 3", at_ms=start + 10)
    more = log.page(STREAM, nothing_yet.next_token)

    assert first.lines == (LogLine(start, "epoch 1"), LogLine(start + 1, "epoch 2"))
    assert nothing_yet.lines == ()
    assert [line.text for line in more.lines] == ["epoch 3"]


def test_the_last_lines_are_read_oldest_first(logs: Any) -> None:
    logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    write(logs, "1", "2", "3", at_ms=now_ms())

    assert [line.text for line in TrainingLog(logs, GROUP).tail(STREAM, 2).lines] == ["2", "3"]


def test_a_stream_that_is_not_there_yet_is_empty(logs: Any) -> None:
    log = TrainingLog(logs, GROUP)

    assert log.page(STREAM) == LogPage((), None)
    assert log.page(STREAM, "t") == LogPage((), "t")
    assert log.tail(STREAM, 5) == LogPage((), None)


def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    line = {"timestamp": 7, "message": "epoch 1"}
    with stubbed("logs", lambda client: TrainingLog(client, GROUP)) as (log, stubber):
        stubber.add_response("get_log_events", {"events": [], "nextForwardToken": "f/1"})
        stubber.add_response("get_log_events", {"events": [line], "nextForwardToken": "f/2"})
        stubber.add_response("get_log_events", {"events": [], "nextForwardToken": "f/2"})

        first = log.page(STREAM)
        last = log.page(STREAM, first.next_token)

    assert first == LogPage((LogLine(7, "epoch 1"),), "f/2")
    assert last == LogPage((), "f/2")


def test_a_refused_look_at_the_log_is_not_an_empty_log() -> None:
    with stubbed("logs", lambda client: TrainingLog(client, GROUP)) as (log, stubber):
        stubber.add_client_error("get_log_events", service_error_code="AccessDeniedException")

        with pytest.raises(errors.PermissionDenied):
            log.page(STREAM)


# -- the function stop_run ---------------------------------------------------------------------------------------


def answered(payload: str, **more: str) -> dict[str, Any]:
    """Make Lambda's answer to an invocation."""
    body = payload.encode()
    return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), **more}


def our_function(client: Any) -> StopFunction:
    """Make the gateway for the function."""
    return StopFunction(client, "runctl-stop_run")


def test_a_stop_is_answered_with_how_the_run_stands() -> None:
    answer = StopAnswer(run_id=RUN_ID, status=RunStatus.STOPPING, message="It saves and ends.")
    command = StopCommand(run_id=RUN_ID, requested_by="ada")
    with stubbed("lambda", our_function) as (function, stubber):
        stubber.add_response(
            "invoke",
            answered(answer.model_dump_json()),
            expected_params={
                "FunctionName": "runctl-stop_run",
                "InvocationType": "RequestResponse",
                "Payload": command.model_dump_json().encode(),
            },
        )

        assert function.stop(command) == answer


def test_what_the_function_raises_is_raised_again_under_its_class() -> None:
    told = {"errorType": "NotFoundError", "errorMessage": f"There is no run {RUN_ID}."}
    with stubbed("lambda", our_function) as (function, stubber):
        stubber.add_response("invoke", answered(json.dumps(told), FunctionError="Unhandled"))

        with pytest.raises(errors.NotFoundError, match=RUN_ID):
            function.stop(StopCommand(run_id=RUN_ID))


@pytest.mark.parametrize(
    "payload", ['{"errorType": "KeyError", "errorMessage": "x"}', '{"errorType": "Any"}', "not json", "[]"]
)
def test_an_exception_that_is_not_ours_is_an_error_of_aws(payload: str) -> None:
    with stubbed("lambda", our_function) as (function, stubber):
        stubber.add_response("invoke", answered(payload, FunctionError="Unhandled"))

        with pytest.raises(errors.AwsError):
            function.stop(StopCommand(run_id=RUN_ID))


def test_an_answer_of_another_version_is_loud() -> None:
    with stubbed("lambda", our_function) as (function, stubber):
        stubber.add_response("invoke", answered('{"outcome": "fine"}'))

        with pytest.raises(errors.AwsError, match="stop_run"):
            function.stop(StopCommand(run_id=RUN_ID))


# -- the function reap_machines ----------------------------------------------------------------------------------


def the_reaper(client: Any) -> ReapFunction:
    """Make the gateway for the function."""
    return ReapFunction(client, "runctl-reap_machines")


def test_a_look_is_answered_with_what_it_came_to() -> None:
    sweep = Sweep(at=START, machines=1, deeds=(Deed(text="The machine was ended."),))
    request = SweepRequest(dry_run=True)
    with stubbed("lambda", the_reaper) as (function, stubber):
        stubber.add_response(
            "invoke",
            answered(sweep.model_dump_json(exclude={"version"})),
            expected_params={
                "FunctionName": "runctl-reap_machines",
                "InvocationType": "RequestResponse",
                "Payload": request.model_dump_json().encode(),
            },
        )

        assert function.sweep(request) == sweep


def test_a_fault_of_the_look_names_its_function() -> None:
    with stubbed("lambda", the_reaper) as (function, stubber):
        stubber.add_response("invoke", answered('{"errorType": "KeyError"}', FunctionError="Unhandled"))

        with pytest.raises(errors.AwsError, match="reap_machines failed: KeyError"):
            function.sweep(SweepRequest())


def test_an_answer_of_another_version_is_an_error() -> None:
    with stubbed("lambda", the_reaper) as (function, stubber):
        stubber.add_response("invoke", answered('{"fine": true}'))

        with pytest.raises(errors.AwsError, match="does not understand"):
            function.sweep(SweepRequest())


# -- Session Manager ---------------------------------------------------------------------------------------------


BEGUN = {"SessionId": "ada-1", "TokenValue": "token", "StreamUrl": "wss://stream"}


def test_a_shell_is_a_session_with_the_accounts_own_document() -> None:
    with stubbed("ssm", Sessions) as (sessions, stubber):
        stubber.add_response("start_session", BEGUN, expected_params={"Target": INSTANCE})

        session = sessions.shell(INSTANCE)

    assert session.response == BEGUN
    assert session.request == {"Target": INSTANCE}
    assert session.endpoint_url.startswith("https://ssm.")


def test_a_port_is_brought_by_awss_document() -> None:
    request = {
        "Target": INSTANCE,
        "DocumentName": "AWS-StartPortForwardingSession",
        "Parameters": {"portNumber": ["6006"], "localPortNumber": ["16006"]},
    }
    with stubbed("ssm", Sessions) as (sessions, stubber):
        stubber.add_response("start_session", BEGUN, expected_params=request)

        assert sessions.forwarding(INSTANCE, 16006, 6006).request == request


def test_a_session_is_ended_by_its_id() -> None:
    with stubbed("ssm", Sessions) as (sessions, stubber):
        stubber.add_response("terminate_session", {"SessionId": "ada-1"}, expected_params={"SessionId": "ada-1"})

        sessions.end("ada-1")


def test_a_session_that_may_not_be_begun_is_a_missing_permission() -> None:
    with stubbed("ssm", Sessions) as (sessions, stubber):
        stubber.add_client_error(
            "start_session", "AccessDeniedException", "not authorized to perform: ssm:StartSession"
        )

        with pytest.raises(errors.PermissionDenied):
            sessions.shell(INSTANCE)
