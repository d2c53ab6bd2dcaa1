"""The JSON document of a run."""

from datetime import timedelta
from decimal import Decimal

from runctl.client.documents import run_document
from runctl.client.place import Place
from runctl.model.attempt import Fact, FactKind
from runctl.model.run import CheckpointRef, Progress, RunSpec
from runctl.model.status import Reason
from tests.client.deployment import NOW, STATE_MACHINE, a_run, an_attempt


def test_document_has_exactly_the_fields_of_the_contract() -> None:
    run = a_run()

    document = run_document(run, [an_attempt()], Place(STATE_MACHINE), NOW)

    assert list(document) == [
        "run_id",
        "name",
        "status",
        "reason",
        "resumed_from",
        "execution_arn",
        "console_url",
        "created_at",
        "ended_at",
        "spec",
        "attempts",
        "checkpoint",
        "cost",
        "progress",
    ]
    assert list(document["attempts"][0]) == [
        "number",
        "instance_id",
        "instance_type",
        "availability_zone",
        "purchase_option",
        "started_at",
        "ended_at",
        "reason",
        "exit_code",
        "resumed_from_step",
        "cost_usd",
    ]
    assert list(document["cost"]) == [
        "estimated_usd",
        "accrued_usd",
        "on_demand_usd",
        "saved_usd",
        "recomputed_usd",
        "is_settled",
        "rests_on_bundled_prices",
    ]


def test_money_is_a_number_and_spot_saves() -> None:
    attempt = an_attempt(price_usd_per_hour=Decimal("0.1"), on_demand_usd_per_hour=Decimal("0.4"))

    document = run_document(a_run(estimated_usd=Decimal("2.5")), [attempt], Place(STATE_MACHINE), NOW)

    assert document["cost"] == {
        "estimated_usd": 2.5,
        "accrued_usd": 0.007731,
        "on_demand_usd": 0.027731,
        "saved_usd": 0.02,
        "recomputed_usd": 0.0,
        "is_settled": False,
        "rests_on_bundled_prices": False,
    }
    assert document["attempts"][0]["cost_usd"] == 0.007731


def test_unknown_price_is_null_and_not_nothing() -> None:
    attempt = an_attempt(price_usd_per_hour=None, on_demand_usd_per_hour=None)

    document = run_document(a_run(), [attempt], Place(STATE_MACHINE), NOW)

    assert document["attempts"][0]["cost_usd"] is None


def test_values_of_environment_variables_are_hidden() -> None:
    spec = RunSpec(**{**a_run().spec.model_dump(), "environment": {"TOKEN": "s3cret"}})

    document = run_document(a_run(spec=spec), [], Place(STATE_MACHINE), NOW)

    assert document["spec"]["environment"] == {"TOKEN": "***"}
    assert "s3cret" not in str(document)


def test_secret_and_tokens_of_an_attempt_are_not_in_the_document() -> None:
    attempt = an_attempt(secret="5e" * 16, facts={FactKind.READY: Fact(at=NOW)})

    assert "5e5e" not in str(run_document(a_run(), [attempt], Place(STATE_MACHINE), NOW))


def test_times_are_text_in_utc_with_milliseconds() -> None:
    ended = an_attempt(ended_at=NOW, reason=Reason.USER_ERROR, exit_code=3)
    checkpoint = CheckpointRef(name="step-4", step=4, manifest_key="k", bytes=1, saved_at=NOW, attempt=ended.number)
    run = a_run(checkpoint=checkpoint, progress=Progress(at=NOW - timedelta(seconds=1), step=5))

    document = run_document(run, [ended], Place(STATE_MACHINE), NOW)

    assert document["created_at"] == "2026-11-24T09:25:00.000Z"
    assert document["attempts"][0]["ended_at"] == "2026-11-24T09:30:00.000Z"
    assert document["checkpoint"]["saved_at"] == "2026-11-24T09:30:00.000Z"
    assert document["progress"]["at"] == "2026-11-24T09:29:59.000Z"


def test_console_link_names_the_execution_and_is_left_out_where_there_is_no_console() -> None:
    run = a_run()

    with_console = run_document(run, [], Place(STATE_MACHINE), NOW)["console_url"]
    without = run_document(run, [], Place(STATE_MACHINE, has_console=False), NOW)["console_url"]

    assert with_console == (
        "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1"
        f"#/v2/executions/details/{run.execution_arn}"
    )
    assert without is None
