"""No tracked file holds credentials. Examples are put together of pieces, so that this file passes its own test."""

import subprocess

import pytest

from stacks.assembly.layout import REPOSITORY
from tests.gates.secrets import find_secrets

EXAMPLES = {
    "AWS access key id": "AKIA" + "Q3EGRXYZABCDE234",
    "private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmc" + "x7" * 30,
    "Slack token or hook": "xoxb-" + "1234567890-abcdef",
    "Hugging Face token": "hf_" + "aB3d" * 9,
    "credentials in an address": "https://someone:" + "hunter22@example.com/",
    "JSON web token": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0In0." + "c2lnbmF0dXJlMTIz",
    "secret that is assigned": "aws_secret_access" + "_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE1KEY",
}
HARMLESS = (
    "secret=secrets.token_hex(SECRET_BYTES)",
    "access_key, secret_key, token = credentials",
    "--hash=sha256:13b2beaad985e05e2d6407ee4c4f35590b11f8d693a258a561055cac8f64cab7",
    'SECRET_ACCESS_KEY: Final = "local"',
    "s3://bucket/key@version",
    "aws_access_key_id=AKIAIOSFODNN7EXAMPLE",
)


def tracked_files() -> list[str]:
    told = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [name for name in told.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def test_no_tracked_file_holds_a_secret() -> None:
    found = [
        f"{name}:{finding.line}: {finding.kind}"
        for name in tracked_files()
        for finding in find_secrets((REPOSITORY / name).read_text(encoding="utf-8", errors="replace"))
    ]

    assert found == []


@pytest.mark.parametrize("kind", EXAMPLES)
def test_each_kind_would_be_found(kind: str) -> None:
    assert kind in {finding.kind for finding in find_secrets(f"before\n{EXAMPLES[kind]}\nafter")}


@pytest.mark.parametrize("line", HARMLESS)
def test_what_only_speaks_of_secrets_is_left_alone(line: str) -> None:
    assert list(find_secrets(line)) == []
