"""Values as people type and read them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from runctl_cli.values import bytes_text, duration_text, parse_duration, parse_usd, usd_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5_400), ("2h", 7_200), ("1h30m", 5_400), ("1d", 86_400), (" 45 S ", 45), ("0.5h", 1_800), ("0s", 0)],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "10", "1w", "-5m", "1h x", "five minutes", "٣s", "9" * 400 + "d"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="90m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "free", "-1", "NaN", "Infinity", "1,50", "€5", "1e99"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        parse_usd(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (65, "1 min 5 s"), (7_800, "2 h 10 min"), (90_000, "1 d 1 h"), (-3, "0 s")],
)
def test_duration_is_written_short(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0"),
        ("1234.5", "$1,234.50"),
        ("0.5", "$0.50"),
        ("0.000157", "$0.00016"),
        ("0.0000001", "under $0.000001"),
    ],
)
def test_money_never_reads_as_nothing_when_it_is_something(amount: str, text: str) -> None:
    assert usd_text(Decimal(amount)) == text


@pytest.mark.parametrize(("count", "text"), [(312, "312 B"), (4_100, "4.1 kB"), (12_000_000, "12 MB")])
def test_size_is_written_short(count: int, text: str) -> None:
    assert bytes_text(count) == text
