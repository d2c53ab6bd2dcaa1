"""Which Region the clients work in."""

from pathlib import Path

import pytest

from runctl.client.clients import find_clients


@pytest.fixture(autouse=True)
def person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys, and a profile with a Region."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text("[default]\nregion = ca-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize(
    ("asked", "variables", "found"),
    [
        (None, {}, "ca-central-1"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        (None, {"AWS_REGION": "eu-west-2"}, "eu-west-2"),
        (None, {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-2"),
        ("eu-west-3", {"AWS_REGION": "eu-west-2"}, "eu-west-3"),
    ],
)
def test_the_region_is_the_one_that_the_aws_cli_would_take(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, variables: dict[str, str], found: str
) -> None:
    """boto3 by itself does not look at AWS_REGION (AWS CLI User Guide, "Configuring environment variables")."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert find_clients(region=asked).region == found
