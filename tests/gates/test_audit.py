"""What `make audit` asks about, and what it makes of the answer. The database itself is asked by hand only."""

from typing import Any

import pytest

from stacks.assembly.layout import REPOSITORY
from tests.gates.audit import NOT_ASKED, NOTHING_FOUND, VULNERABLE, in_files, pins_of, verdict

SOUND: dict[str, Any] = {"name": "click", "version": "8.3.1", "vulns": []}
HOLED: dict[str, Any] = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}]}
UNKNOWN: dict[str, Any] = {"name": "private", "skip_reason": "not found"}


def test_every_pin_of_every_lock_is_asked_about_whatever_its_condition() -> None:
    locks = [
        'numpy==2.4.0 ; python_version >= "3.12" \\\n    --hash=sha256:a\nnumpy==2.3.5 ; python_version < "3.12"\n',
        "boto3[crt]==1.43.1 \\\n    --hash=sha256:b\n",
    ]

    pins = pins_of(locks)

    assert pins == {("numpy", "2.4.0"), ("numpy", "2.3.5"), ("boto3", "1.43.1")}
    assert in_files(pins) == [["boto3==1.43.1", "numpy==2.3.5"], ["numpy==2.4.0"]]


def test_no_lock_is_left_out() -> None:
    locks = sorted((REPOSITORY / "requirements").glob("*.txt"))

    pins = pins_of([lock.read_text() for lock in locks])

    for lock in locks:
        assert pins_of([lock.read_text()]) <= pins
    assert len(pins) > 100


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([SOUND], NOTHING_FOUND, "no known vulnerability in 1 packages"),
        ([SOUND, HOLED], VULNERABLE, "old 1.0: PYSEC-1, mended in 1.1, 2.0"),
        ([SOUND, UNKNOWN], NOT_ASKED, "private: not found"),
        ([HOLED, UNKNOWN], VULNERABLE, "old 1.0: PYSEC-1, mended in 1.1, 2.0"),
        ([UNKNOWN] * 9, NOT_ASKED, "… and 6 more"),
        ([], NOT_ASKED, "nothing was asked about"),
    ],
)
def test_what_could_not_be_asked_about_is_no_good_news(
    dependencies: list[dict[str, Any]], code: int, said: str
) -> None:
    found, lines = verdict(dependencies)

    assert found == code
    assert said in lines
