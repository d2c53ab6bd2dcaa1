"""The page of the state machine is that of the definition which is deployed, and shows all of it."""

import copy
import re

import pytest

from tests.docs.state_diagram import PAGE, deployed_definition, diagram_lines, page
from tests.gates.definition import Definition, targets


@pytest.fixture(scope="module")
def deployed() -> Definition:
    return deployed_definition()


def test_page_is_the_one_of_the_deployed_definition(deployed: Definition) -> None:
    """Write it anew with: python -m tests.docs.state_diagram"""
    assert PAGE.read_text() == page(deployed)


def test_diagram_shows_every_state_and_every_way_on(deployed: Definition) -> None:
    text = "\n".join(diagram_lines(deployed))
    ids = dict(re.findall(r'state "(.+)" as (\w+)', text))

    assert set(ids) == set(deployed["States"])
    assert len(set(ids.values())) == len(ids)
    for name, state in deployed["States"].items():
        for target in targets(state):
            assert f"    {ids[name]} --> {ids[target]}" in text, (name, target)


def test_diagram_shows_each_error_that_is_caught(deployed: Definition) -> None:
    text = "\n".join(diagram_lines(deployed))

    assert "AdmitRun --> RunHasAlreadyEnded : ⚠ RunEnded" in text
    assert "Train --> DecideWhatNext : ⚠ heartbeat missed, timed out, any other error" in text


def test_changed_definition_makes_another_page(deployed: Definition) -> None:
    changed = copy.deepcopy(deployed)
    changed["States"]["Launch machine"]["Catch"][0]["Next"] = "Conclude run"

    assert page(changed) != page(deployed)


def test_choice_that_has_no_words_is_refused_and_not_left_out(deployed: Definition) -> None:
    changed = copy.deepcopy(deployed)
    changed["States"]["Try again?"]["Choices"][0] = {"Variable": "$.x", "NumericEquals": 1, "Next": "Conclude run"}

    with pytest.raises(ValueError, match="NumericEquals"):
        page(changed)
