"""Signatures of the machine's events: anything that is changed is noticed."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runctl.model.agent_event import is_authentic, sign

SECRET = "00ff" * 16
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DETAILS = st.dictionaries(st.text(min_size=1, max_size=10).filter(lambda key: key != "signature"), JSON_VALUES)


@given(DETAILS)
def test_a_signed_detail_is_authentic(detail: dict[str, Any]) -> None:
    assert is_authentic(detail | {"signature": sign(detail, SECRET)}, SECRET)


@given(DETAILS, DETAILS)
def test_a_changed_detail_is_not(detail: dict[str, Any], other: dict[str, Any]) -> None:
    signature = sign(detail, SECRET)

    assert is_authentic(other | {"signature": signature}, SECRET) == (
        json.dumps(other, sort_keys=True) == json.dumps(detail, sort_keys=True)
    )


@given(DETAILS)
def test_another_machines_secret_does_not_sign_for_this_one(detail: dict[str, Any]) -> None:
    assert not is_authentic(detail | {"signature": sign(detail, "11ee" * 16)}, SECRET)


def test_a_missing_or_odd_signature_is_refused() -> None:
    assert not is_authentic({"run_id": "r-1"}, SECRET)
    assert not is_authentic({"run_id": "r-1", "signature": 7}, SECRET)
    assert not is_authentic({"run_id": "r-1", "signature": ""}, SECRET)
