"""The smoke itself, on the local target; and that it begins in no account that did not ask for it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from runctl.client.client import Client
from tests.aws_smoke.__main__ import admitted, main, run_smoke
from tests.aws_smoke.places import Place, aws_place, local_place
from tests.aws_smoke.smoke import Outcome, Refused, claims, require_no_stack

ACCOUNT = "123456789012"
"""moto's."""

ATTEMPT: dict[str, Any] = {"purchase_option": "spot", "resumed_from_step": None}
GOOD = Outcome(
    run={
        "status": "SUCCEEDED",
        "reason": "COMPLETED",
        "attempts": [
            {**ATTEMPT, "instance_id": "i-1", "reason": "SPOT_INTERRUPTION"},
            {**ATTEMPT, "instance_id": "i-2", "reason": "COMPLETED", "resumed_from_step": 7},
        ],
        "cost": {"accrued_usd": 0.01},
    },
    kinds=frozenset({"interruption_warning", "checkpoint_saved"}),
    log="starting at 7\nfinished at 60",
    execution="SUCCEEDED",
    transitions=32,
    machines_alive=0,
    dead_letters=0,
    steps=60,
)


def nobody() -> Client:
    raise AssertionError("nothing is deployed")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that lead to moto's account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that leads anywhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.mark.local_cloud
def test_the_local_target_holds_what_is_asked_of_aws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = local_place(tmp_path)
    try:
        exit_code = run_smoke(place, steps=200, pause_s=0.1)
    finally:
        place.runctl("local", "down")

    assert exit_code == 0, capsys.readouterr().out


def test_it_begins_nowhere_without_an_account_that_is_spelled_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["aws_smoke"])

    exit_code = main()

    said = capsys.readouterr().err
    assert exit_code == 2
    assert "Name the account" in said
    assert "less than 1 USD" in said
    assert "Nothing was touched." in said


def test_it_begins_nowhere_without_credentials(no_credentials: None, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no credentials that work"):
        admitted(tmp_path, account=ACCOUNT, profile=None, region=None)


@mock_aws
def test_it_begins_in_no_other_account_than_the_one_named(credentials: None, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not of 210987654321"):
        admitted(tmp_path, account="210987654321", profile=None, region=None)


@mock_aws
def test_it_works_in_the_account_that_the_credentials_lead_to(credentials: None, tmp_path: Path) -> None:
    place = aws_place(tmp_path, profile=None, region=None)

    assert (place.target, place.account, place.region) == ("aws", ACCOUNT, "us-east-1")
    assert place.options == ("--region", "us-east-1")
    assert 'target = "aws"' in (tmp_path / ".runctl.toml").read_text()


def test_it_begins_in_no_account_where_runctl_is_in_use(credentials: None, tmp_path: Path) -> None:
    cloudformation = boto3.client("cloudformation", "us-east-1")
    place = Place("aws", ACCOUNT, "us-east-1", tmp_path, client=lambda _: cloudformation, connect=nobody)
    stack = {"StackName": "runctl", "StackStatus": "CREATE_COMPLETE", "CreationTime": datetime(2026, 1, 31, tzinfo=UTC)}
    with Stubber(cloudformation) as answers:
        answers.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "runctl"})
        answers.add_client_error("describe_stacks", "ValidationError", "Stack with id runctl does not exist")

        with pytest.raises(Refused, match="already"):
            require_no_stack(place)
        require_no_stack(place)


def test_all_claims_hold_of_a_run_as_it_should_be() -> None:
    assert [claim.text for claim in claims(GOOD) if not claim.holds] == []


@pytest.mark.parametrize(
    ("spoilt", "text"),
    [
        (replace(GOOD, run={**GOOD.run, "status": "STOPPED"}), "the run succeeded"),
        (replace(GOOD, run={**GOOD.run, "attempts": GOOD.run["attempts"][1:]}), "on two machines"),
        (replace(GOOD, kinds=frozenset()), "EC2's warning was seen"),
        (replace(GOOD, log="starting at 0\nfinished at 60"), "and says so in its log"),
        (replace(GOOD, execution="FAILED"), "its execution succeeded"),
        (replace(GOOD, transitions=400), "in at most 40 transitions"),
        (replace(GOOD, machines_alive=1), "no machine is left"),
        (replace(GOOD, dead_letters=1), "nothing lies in the dead-letter queue"),
        (replace(GOOD, run={**GOOD.run, "cost": {"accrued_usd": 1.5}}), "it cost less than 1 USD"),
    ],
)
def test_what_is_not_so_is_told(spoilt: Outcome, text: str) -> None:
    assert text in {claim.text for claim in claims(spoilt) if not claim.holds}
