"""What only DynamoDB can do to the runs table: pages, throttles, conflicts, refusals; and how items lie in it."""

from decimal import Decimal
from typing import Any

import boto3
import pytest

from runctl.errors import AwsError, PermissionDenied, StaleWriteError, Throttled
from runctl.model.attempt import Fact, FactKind, Wait
from runctl.model.ids import RunId, TaskToken
from runctl.model.status import RunStatus
from runctl.store.runs import RunsTable
from runctl.store.transactions import CONFLICT_TRIES
from tests.contract.examples import (
    FIRST,
    INSTANCE,
    OTHER_RUN_ID,
    RUN_ID,
    START,
    a_checkpoint,
    a_run,
    a_stop_request,
    after,
    an_attempt,
    an_event,
    some_progress,
)
from tests.contract.runs_table import TABLE, a_runs_table, no_sleep
from tests.contract.stubs import stubbed


def cancelled(*codes: str) -> dict[str, Any]:
    """Make the answer of a transaction that was cancelled for these reasons."""
    return {
        "method": "transact_write_items",
        "service_error_code": "TransactionCanceledException",
        "modeled_fields": {"CancellationReasons": [{"Code": code, "Message": "why"} for code in codes]},
    }


def table_on(client: Any) -> RunsTable:
    """Make the store over a client, without any waiting."""
    return RunsTable(TABLE, client, sleep=no_sleep)


# -- how items lie -----------------------------------------------------------------------------------------------


def raw_items() -> dict[str, dict[str, Any]]:
    """Read the table as it lies, by sort key."""
    answer = boto3.client("dynamodb", region_name="us-east-1").scan(TableName=TABLE)
    return {item["sk"]["S"]: item for item in answer["Items"]}


@pytest.mark.usefixtures("aws")
def test_items_lie_as_the_architecture_says() -> None:
    table = a_runs_table()
    table.create_run(a_run())
    current = a_run(attempt=FIRST, estimated_usd=Decimal("1.75"))
    table.begin_attempt(current, an_attempt(instance_id=INSTANCE), [an_event("launched-1", 1)])
    table.record_progress(RUN_ID, some_progress())

    items = raw_items()

    assert set(items) == {"META", "ATTEMPT#0001", "EVENT#2026-03-01T09:30:01.123Z#launched-1"}
    assert {item["pk"]["S"] for item in items.values()} == {f"RUN#{RUN_ID}"}
    meta = items["META"]
    assert meta["created_at"] == {"S": "2026-03-01T09:30:00.123Z"}
    assert meta["version"] == {"N": "3"}
    assert meta["estimated_usd"] == {"N": "1.75"}
    assert meta["progress"]["M"]["loss"] == {"N": "0.25"}
    assert "ended_at" not in meta
    assert items["ATTEMPT#0001"]["number"] == {"N": "1"}


@pytest.mark.usefixtures("aws")
def test_open_is_removed_with_the_write_that_ends_the_run() -> None:
    table = a_runs_table()
    table.create_run(a_run())
    before = raw_items()["META"].get("open")

    table.save_run(a_run(status=RunStatus.SUCCEEDED, ended_at=after(9)))

    assert before == {"S": "1"}
    assert "open" not in raw_items()["META"]


# -- pages -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("aws")
def test_attempts_and_events_beyond_a_page_of_one_megabyte_are_all_read() -> None:
    table = a_runs_table()
    run = a_run()
    table.create_run(run)
    long_text = "x" * 150_000
    for number in range(1, 11):
        run = table.begin_attempt(run, an_attempt(number=number, evidence=long_text))
    table.add_events([an_event(f"event-{number}", number, text=long_text) for number in range(10)])

    attempts, events = table.attempts(RUN_ID), table.events(RUN_ID)

    assert [attempt.number for attempt in attempts] == list(range(1, 11))
    assert [event.event_id for event in events] == [f"event-{number}" for number in range(10)]


@pytest.mark.usefixtures("aws")
def test_a_projects_newest_runs_come_first_across_pages() -> None:
    table = a_runs_table()
    for number in range(7):
        table.create_run(a_run(RunId(f"r-{number:012d}"), created_at=after(number)))
    table.create_run(a_run(OTHER_RUN_ID, project="speech"))

    newest = table.runs_of_project("vision", 3)
    every = table.runs_of_project("vision", 100)

    assert [run.created_at for run in newest] == [after(6), after(5), after(4)]
    assert len(every) == 7
    assert table.runs_of_project("vision", 0) == ()
    assert table.runs_of_project("nobody's", 5) == ()


@pytest.mark.usefixtures("aws")
def test_one_users_runs_are_found_behind_pages_of_others() -> None:
    table = a_runs_table()
    for number in range(5):
        user = "bob" if number == 0 else "ada"
        table.create_run(a_run(RunId(f"r-{number:012d}"), created_at=after(number), user=user))

    (found,) = table.runs_of_project("vision", 1, "bob")

    assert found.created_at == after(0)


@pytest.mark.usefixtures("aws")
def test_one_users_runs_behind_many_of_others_take_two_questions() -> None:
    client = boto3.client("dynamodb", region_name="us-east-1")
    a_runs_table()
    table = RunsTable(TABLE, client)
    for number in range(60):
        user = "bob" if number == 0 else "ada"
        table.create_run(a_run(RunId(f"r-{number:012d}"), created_at=after(number), user=user))
    limits: list[int] = []
    client.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: limits.append(params["Limit"])
    )

    (found,) = table.runs_of_project("vision", 5, "bob")

    assert found.user == "bob"
    assert limits == [5, 1_000]


@pytest.mark.usefixtures("aws")
def test_newest_runs_of_many_take_one_question_for_as_many_as_are_wanted() -> None:
    client = boto3.client("dynamodb", region_name="us-east-1")
    a_runs_table()
    table = RunsTable(TABLE, client)
    for number in range(30):
        table.create_run(a_run(RunId(f"r-{number:012d}"), created_at=after(number)))
    limits: list[int] = []
    client.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: limits.append(params["Limit"])
    )

    newest = table.runs_of_project("vision", 5)

    assert len(newest) == 5
    assert limits == [5]


# -- conflicts, throttles, refusals ------------------------------------------------------------------------------


def test_a_fact_is_written_again_through_the_conflicts_of_others() -> None:
    with stubbed("dynamodb", table_on) as (table, stubber):
        stubber.add_client_error(**cancelled("TransactionConflict"))
        stubber.add_client_error(**cancelled("None", "TransactionConflict"))
        stubber.add_response("transact_write_items", {})

        recorded = table.record_fact(RUN_ID, FIRST, FactKind.GONE, Fact(at=START))

    assert recorded


def test_a_fact_is_never_dropped_for_a_conflict_that_does_not_end() -> None:
    with stubbed("dynamodb", table_on) as (table, stubber), pytest.raises(Throttled):
        for _ in range(CONFLICT_TRIES):
            stubber.add_client_error(**cancelled("TransactionConflict"))
        table.record_fact(RUN_ID, FIRST, FactKind.GONE, Fact(at=START))


@pytest.mark.parametrize("codes", [("ConditionalCheckFailed",), ("None", "TransactionConflict")])
def test_a_save_that_loses_a_race_is_stale(codes: tuple[str, ...]) -> None:
    with stubbed("dynamodb", table_on) as (table, stubber), pytest.raises(StaleWriteError):
        stubber.add_client_error(**cancelled(*codes))
        table.save_run(a_run())


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_save_that_is_throttled_is_not_stale(code: str) -> None:
    with stubbed("dynamodb", table_on) as (table, stubber), pytest.raises(Throttled):
        stubber.add_client_error(**cancelled("None", code))
        table.save_run(a_run(), [an_event()])


def test_a_save_that_is_cancelled_for_another_reason_is_loud() -> None:
    with stubbed("dynamodb", table_on) as (table, stubber), pytest.raises(AwsError) as raised:
        stubber.add_client_error(**cancelled("ValidationError"))
        table.save_run(a_run())

    assert type(raised.value) is AwsError
    assert raised.value.aws_code == "ValidationError"


def test_a_lost_condition_weighs_more_than_a_conflict_beside_it() -> None:
    with stubbed("dynamodb", table_on) as (table, stubber):
        stubber.add_client_error(**cancelled("ConditionalCheckFailed", "TransactionConflict"))

        table.record_told(RUN_ID, "failed", START)

        stubber.assert_no_pending_responses()


def test_figures_and_checkpoints_go_on_through_conflicts_and_are_no_transactions() -> None:
    with stubbed("dynamodb", table_on) as (table, stubber):
        stubber.add_client_error("update_item", service_error_code="TransactionConflictException")
        stubber.add_response("update_item", {})
        stubber.add_client_error("update_item", service_error_code="ConditionalCheckFailedException")

        kept = table.record_progress(RUN_ID, some_progress())
        kept_again = table.record_progress(RUN_ID, some_progress())

    assert (kept, kept_again) == (True, False)


@pytest.mark.usefixtures("aws")
def test_a_checkpoint_whose_event_was_not_written_brings_it_when_it_is_repeated() -> None:
    table = a_runs_table()
    table.create_run(a_run(attempt=FIRST))
    table.record_checkpoint(RUN_ID, a_checkpoint(30), an_event("saved", 30))
    client = boto3.client("dynamodb", region_name="us-east-1")
    (sort_key,) = [key for key in raw_items() if "saved" in key]
    client.delete_item(TableName=TABLE, Key={"pk": {"S": f"RUN#{RUN_ID}"}, "sk": {"S": sort_key}})

    kept = table.record_checkpoint(RUN_ID, a_checkpoint(30), an_event("saved", 30))

    assert not kept
    assert [event.event_id for event in table.events(RUN_ID)] == ["saved"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDeniedException", PermissionDenied),
        ("ThrottlingException", Throttled),
        ("ResourceNotFoundException", AwsError),
        ("InternalServerError", Throttled),
    ],
)
def test_an_outage_or_a_refusal_is_never_an_empty_answer(code: str, expected: type[Exception]) -> None:
    with stubbed("dynamodb", table_on) as (table, stubber):
        for method in ("get_item", "query", "query", "query"):
            stubber.add_client_error(method, service_error_code=code)

        for read in (
            lambda: table.run(RUN_ID),
            lambda: table.attempts(RUN_ID),
            lambda: table.attempt_of_machine(INSTANCE),
            lambda: list(table.open_runs()),
        ):
            with pytest.raises(expected) as raised:
                read()
            assert type(raised.value) is expected


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_refused_write_is_never_a_lost_race(code: str) -> None:
    with stubbed("dynamodb", table_on) as (table, stubber):
        for _ in range(3):
            stubber.add_client_error("transact_write_items", service_error_code=code)

        for write in (
            lambda: table.save_run(a_run()),
            lambda: table.store_token(RUN_ID, FIRST, Wait.READY, TaskToken("t")),
            lambda: table.request_stop(RUN_ID, a_stop_request(), an_event()),
        ):
            with pytest.raises((PermissionDenied, Throttled)):
                write()
