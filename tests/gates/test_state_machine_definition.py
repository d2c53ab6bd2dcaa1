"""The synthesized state machine is well formed, and the check would notice if it were not."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gates.definition import Definition, problems_of_form, problems_of_meaning


def first_catch(definition: Definition, state: str) -> dict[str, Any]:
    catch: dict[str, Any] = definition["States"][state]["Catch"][0]
    return catch


DEFECTS: dict[str, tuple[Callable[[Definition], Any], str]] = {
    "a start that is not there": (lambda d: d.update(StartAt="Nowhere"), "StartAt names no state"),
    "a next state that is not there": (
        lambda d: d["States"]["Launch machine"].update(Next="Nowhere"),
        "leads to a state that does not exist",
    ),
    "a catch that leads nowhere": (
        lambda d: first_catch(d, "Train").update(Next="Nowhere"),
        "leads to a state that does not exist",
    ),
    "a state that nobody reaches": (
        lambda d: d["States"].update(Orphan={"Type": "Succeed"}),
        "Orphan: no state leads to it",
    ),
    "an endless round": (
        lambda d: [
            d["States"]["Conclude run"].update(Next="Decide what next", Catch=[]),
            d["States"]["Decide what next"].update(Catch=[]),
        ],
        "no way leads from it to an end",
    ),
    "two timeouts": (
        lambda d: d["States"]["Train"].update(TimeoutSeconds=5),
        "has both TimeoutSeconds and TimeoutSecondsPath",
    ),
    "no timeout": (lambda d: d["States"]["Launch machine"].pop("TimeoutSeconds"), "a task without a timeout"),
    "a heartbeat that never comes": (
        lambda d: [
            [d["States"]["Train"].pop(name) for name in ("TimeoutSecondsPath", "HeartbeatSecondsPath")],
            d["States"]["Train"].update(TimeoutSeconds=60, HeartbeatSeconds=60),
        ],
        "a heartbeat that is not smaller",
    ),
    "a token that is given to nobody": (
        lambda d: d["States"]["Train"]["Parameters"]["Payload"].pop("task_token.$"),
        "waits for a token",
    ),
    "no default": (lambda d: d["States"]["Try again?"].pop("Default"), "a choice without a default"),
    "everything caught first": (
        lambda d: d["States"]["Train"]["Catch"].insert(0, {"ErrorEquals": ["States.ALL"], "Next": "Decide what next"}),
        "States.ALL stands alone and last",
    ),
    "an error caught twice": (
        lambda d: d["States"]["Train"]["Catch"].insert(1, copy.deepcopy(first_catch(d, "Train"))),
        "an earlier one takes it",
    ),
    "timeouts caught before heartbeats": (
        lambda d: d["States"]["Train"]["Catch"].insert(
            0, {"ErrorEquals": ["States.Timeout"], "Next": "Decide what next"}
        ),
        "stands before it",
    ),
    "a delay of nothing": (
        lambda d: d["States"]["Launch machine"]["Retry"][0].update(MaxDelaySeconds=0),
        "MaxDelaySeconds is from 1",
    ),
}

MALFORMED: dict[str, Callable[[Definition], Any]] = {
    "neither next nor end": lambda d: d["States"]["Launch machine"].pop("Next"),
    "a field that there is not": lambda d: d["States"]["Launch machine"].update(TimeoutSecond=5),
    "a type that there is not": lambda d: d["States"]["Launch machine"].update(Type="Tsk"),
    "a path that is none": lambda d: d["States"]["Launch machine"].update(ResultPath="decision"),
}


def test_the_definition_is_well_formed(definition: Definition, tmp_path: Path) -> None:
    assert problems_of_form(definition, tmp_path) == []
    assert problems_of_meaning(definition) == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_what_is_wrong_is_told(definition: Definition, defect: str) -> None:
    spoil, expected = DEFECTS[defect]
    spoil(definition)

    assert expected in "\n".join(problems_of_meaning(definition))


@pytest.mark.parametrize("defect", MALFORMED)
def test_what_is_malformed_is_told(definition: Definition, tmp_path: Path, defect: str) -> None:
    MALFORMED[defect](definition)

    assert problems_of_form(definition, tmp_path)
