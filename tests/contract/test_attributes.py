"""Values as DynamoDB's typed attributes."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.store.attributes import decode, encode, plain


class Colour(StrEnum):
    """Any enumeration."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (None, {"NULL": True}),
        (True, {"BOOL": True}),
        (7, {"N": "7"}),
        (0.25, {"N": "0.25"}),
        (Decimal("1.006"), {"N": "1.006"}),
        ("", {"S": ""}),
        (Colour.RED, {"S": "red"}),
        ((1, "a"), {"L": [{"N": "1"}, {"S": "a"}]}),
        ({Colour.RED: {}}, {"M": {"red": {"M": {}}}}),
        (datetime(2026, 3, 1, 9, 30, tzinfo=UTC), {"S": "2026-03-01T09:30:00.000Z"}),
        (datetime(2026, 3, 1, 10, 30, tzinfo=timezone(timedelta(hours=1))), {"S": "2026-03-01T09:30:00.000Z"}),
    ],
)
def test_a_value_has_one_attribute(value: Any, attribute: dict[str, Any]) -> None:
    assert encode(value) == attribute


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-200, -1e200, 5e-324])
def test_a_float_that_is_no_dynamodb_number_is_kept_as_text(value: float) -> None:
    attribute = encode(value)

    assert set(attribute) == {"S"}
    assert float(decode(attribute)) == value or math.isnan(value)


@given(
    st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda number: number == 0 or 1e-130 <= abs(number) <= 9.9e125
    )
)
def test_any_other_float_is_a_number_that_dynamodb_takes_and_comes_back_the_same(value: float) -> None:
    attribute = encode(value)

    assert set(attribute) == {"N"}
    assert len(Decimal(attribute["N"]).as_tuple().digits) <= 38
    assert float(decode(attribute)) == value


def test_money_with_more_digits_than_dynamodb_takes_is_rounded() -> None:
    assert encode(Decimal("1." + "3" * 50)) == {"N": "1." + "3" * 37}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)


@given(JSON)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert plain(decode(encode(value))) == value


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object()])
def test_what_the_models_never_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_an_attribute_that_is_never_written_is_refused() -> None:
    with pytest.raises(TypeError):
        decode({"SS": ["a", "b"]})
