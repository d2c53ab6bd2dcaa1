"""The demo's verdict: it fails when anything that it claims is not so."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.demo.verdict import Outcome, claims
from tests.demo.weights import digest_of


def _attempt(number: int, reason: str, resumed_from_step: int | None = None) -> dict[str, Any]:
    return {
        "number": number,
        "instance_id": f"i-{number:017x}",
        "instance_type": "t3.medium",
        "availability_zone": "us-east-1a",
        "purchase_option": "spot",
        "reason": reason,
        "resumed_from_step": resumed_from_step,
    }


def _run(*attempts: dict[str, Any], **more: Any) -> dict[str, Any]:
    cost = {"accrued_usd": 0.0003, "saved_usd": 0.0005}
    return {
        "run_id": "r-1",
        "status": "SUCCEEDED",
        "reason": "COMPLETED",
        "attempts": list(attempts),
        "cost": cost,
        **more,
    }


def _outcome() -> Outcome:
    return Outcome(
        interrupted=_run(_attempt(1, "SPOT_INTERRUPTION"), _attempt(2, "COMPLETED", 14)),
        uninterrupted=_run(_attempt(1, "COMPLETED")),
        interrupted_transitions=15,
        clean_transitions=8,
        interrupted_weights="ab" * 32,
        uninterrupted_weights="ab" * 32,
        epochs=40,
        seconds=31.25,
    )


def test_every_claim_holds_of_a_good_showing() -> None:
    assert [claim.text for claim in claims(_outcome()) if not claim.holds] == []


def test_the_document_has_the_form_that_was_promised() -> None:
    outcome = _outcome()

    assert outcome.document() == {
        "interrupted": outcome.interrupted,
        "uninterrupted": outcome.uninterrupted,
        "weights_identical": True,
        "transitions": {"clean": 8, "interrupted": 15},
        "seconds": 31.2,
    }


SAME_MACHINE = {**_attempt(2, "COMPLETED", 14), "instance_id": f"i-{1:017x}"}
ON_DEMAND = {**_attempt(2, "COMPLETED", 14), "purchase_option": "on-demand"}
FIRST = _attempt(1, "SPOT_INTERRUPTION")


@pytest.mark.parametrize(
    ("broken", "claim"),
    [
        (
            {"interrupted": _run(FIRST, _attempt(2, "USER_ERROR", 14), status="FAILED", reason="USER_ERROR")},
            "succeeded",
        ),
        ({"uninterrupted": _run(_attempt(1, "CANCELLED"), status="CANCELLED", reason="CANCELLED")}, "succeeded"),
        ({"interrupted": _run(_attempt(1, "COMPLETED"))}, "took back"),
        ({"interrupted": _run(_attempt(1, "MACHINE_LOST"), _attempt(2, "COMPLETED", 14))}, "took back"),
        ({"interrupted": _run(FIRST, SAME_MACHINE)}, "another spot machine"),
        ({"interrupted": _run(FIRST, ON_DEMAND)}, "another spot machine"),
        ({"interrupted": _run(FIRST, _attempt(2, "COMPLETED"))}, "in the middle"),
        ({"interrupted": _run(FIRST, _attempt(2, "COMPLETED", 40))}, "in the middle"),
        ({"interrupted": _run()}, "in the middle"),
        ({"uninterrupted": _run(FIRST, _attempt(2, "COMPLETED", 3))}, "needed one machine"),
        ({"uninterrupted": _run(_attempt(1, "COMPLETED"), cost={"accrued_usd": 0})}, "cost something"),
        ({"clean_transitions": 26, "interrupted_transitions": 30}, "at most 25"),
        ({"clean_transitions": 0}, "at most 25"),
        ({"interrupted_transitions": 24}, "adds at most 15"),
        ({"interrupted_transitions": 8}, "adds at most 15"),
        ({"interrupted_weights": "cd" * 32}, "identical"),
        ({"interrupted_weights": "", "uninterrupted_weights": ""}, "identical"),
    ],
)
def test_a_claim_that_is_not_so_fails(broken: dict[str, Any], claim: str) -> None:
    failed = [text for text, holds in ((c.text, c.holds) for c in claims(replace(_outcome(), **broken))) if not holds]

    assert any(claim in text for text in failed), failed


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_weights_are_compared_bit_for_bit() -> None:
    weights = np.linspace(0, 1, 6)
    nudged = weights.copy()
    nudged[3] = np.nextafter(nudged[3], 1)

    assert digest_of(_npz(w=weights)) == digest_of(_npz(w=weights.copy()))
    assert digest_of(_npz(w=weights)) != digest_of(_npz(w=nudged))


@pytest.mark.parametrize("other", [{"v": np.ones(6)}, {"w": np.ones((2, 3))}, {"w": np.ones(6, dtype=np.float32)}])
def test_name_shape_and_type_of_weights_count(other: dict[str, Any]) -> None:
    assert digest_of(_npz(w=np.ones(6))) != digest_of(_npz(**other))
