"""What the demo claims, checked against what happened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CLEAN_LIMIT: Final = 25
"""State transitions of a run without trouble, at most."""
INTERRUPTION_LIMIT: Final = 15
"""State transitions that one interruption may add."""

RunDocument = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """One claim, and whether it is so."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Outcome:
    """Everything that the demo saw."""

    interrupted: RunDocument
    uninterrupted: RunDocument
    interrupted_transitions: int
    clean_transitions: int
    interrupted_weights: str
    """Digest of the weights that the run left in the bucket; empty when it left none."""
    uninterrupted_weights: str
    epochs: int
    seconds: float

    @property
    def weights_identical(self) -> bool:
        """Whether both runs left weights, and the same."""
        return bool(self.interrupted_weights) and self.interrupted_weights == self.uninterrupted_weights

    def document(self) -> dict[str, Any]:
        """What is written to result.json."""
        return {
            "interrupted": dict(self.interrupted),
            "uninterrupted": dict(self.uninterrupted),
            "weights_identical": self.weights_identical,
            "transitions": {"clean": self.clean_transitions, "interrupted": self.interrupted_transitions},
            "seconds": round(self.seconds, 1),
        }


def claims(outcome: Outcome) -> tuple[Claim, ...]:
    """Check every claim; the demo fails when one does not hold."""
    interrupted, uninterrupted = outcome.interrupted, outcome.uninterrupted
    attempts = interrupted["attempts"]
    reasons = [attempt["reason"] for attempt in attempts]
    machines = {attempt["instance_id"] for attempt in attempts}
    resumed_from = attempts[-1]["resumed_from_step"] if attempts else None
    bought = {attempt["purchase_option"] for attempt in attempts}
    costs = [run["cost"]["accrued_usd"] for run in (interrupted, uninterrupted)]
    added = outcome.interrupted_transitions - outcome.clean_transitions
    return (
        Claim("both runs succeeded", {_end(interrupted), _end(uninterrupted)} == {("SUCCEEDED", "COMPLETED")}),
        Claim("the first machine was a spot machine that EC2 took back", reasons == ["SPOT_INTERRUPTION", "COMPLETED"]),
        Claim("the second was another spot machine", len(machines) == len(attempts) == 2 and bought == {"spot"}),
        Claim(
            "it resumed in the middle of the training", resumed_from is not None and 0 < resumed_from < outcome.epochs
        ),
        Claim("the other run needed one machine", len(uninterrupted["attempts"]) == 1),
        Claim("both runs cost something", all(cost is not None and float(cost) > 0 for cost in costs)),
        Claim(
            f"a clean run takes at most {CLEAN_LIMIT} state transitions", 0 < outcome.clean_transitions <= CLEAN_LIMIT
        ),
        Claim(f"the interruption adds at most {INTERRUPTION_LIMIT}", 0 < added <= INTERRUPTION_LIMIT),
        Claim("the weights are identical, bit for bit", outcome.weights_identical),
    )


def _end(run: RunDocument) -> tuple[Any, Any]:
    return run["status"], run["reason"]
