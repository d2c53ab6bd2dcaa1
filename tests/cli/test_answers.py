"""Answers in JSON are as docs/reference/answers.schema.json says, and that says all of them.

Every `runctl.json(…)` of these tests is held to the schema; here is what is not asked elsewhere.
"""

import copy
from typing import Any

import pytest

from runctl_cli.root import LazyGroup
from tests.cli.answers import commands_with_schema, problem_of_answer, schema
from tests.cli.command_line import CommandLine
from tests.cli.test_contract import COMMANDS
from tests.cli.write_answers import written
from tests.client.deployment import a_run, an_attempt


def test_every_command_has_a_definition_of_its_data() -> None:
    """A new command needs a definition in $defs and a rule in allOf."""
    verbs = [" ".join(path) for path, command in COMMANDS.items() if not isinstance(command, LazyGroup)]

    assert sorted(commands_with_schema()) == sorted(verbs)
    assert sorted(schema()["allOf"][0]["then"]["properties"]["command"]["enum"]) == sorted(verbs)


def test_words_and_spec_of_the_schema_are_those_of_the_model() -> None:
    """Bring them in with: python -m tests.cli.write_answers"""
    assert schema() == written()


@pytest.mark.parametrize(
    "words",
    [
        ["local", "status"],
        ["local", "env"],
        ["local", "kill", "i-0abc", "--silent"],
        ["local", "no-capacity", "g5.xlarge", "--for", "30s"],
        ["config", "set", "run.retries", "3"],
        ["estimate", "--instance-type", "t3.micro", "--spot"],
        ["init", "--config-path", "other.toml"],
    ],
    ids=" ".join,
)
def test_answer_is_as_published(runctl: CommandLine, words: list[str]) -> None:
    assert runctl.json(*words).exit_code == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda document: document["data"].update(colour="red"), "'colour' was unexpected"),
        (lambda document: document["data"].pop("console_url"), "'console_url' is a required property"),
        (lambda document: document["data"].update(created_at="yesterday"), "does not match"),
        (lambda document: document["data"]["attempts"][0].update(cost_usd="1.20"), "attempts[0].cost_usd"),
        (lambda document: document["data"]["cost"].update(accrued_usd=None), "is not of type"),
        (lambda document: document.update(version=2), "1 was expected"),
        (lambda document: document.update(data=None), "is not of type 'object'"),
        (lambda document: document.update(ok=False), "errors"),
        (lambda document: document.update(command="statu"), "is not one of"),
        (lambda document: document["data"]["spec"]["environment"].update(TOKEN="hunter2"), "'***' was expected"),
    ],
)
def test_change_of_an_answer_would_be_found(runctl: CommandLine, change: Any, problem: str) -> None:
    runctl.deployment.add(a_run(), an_attempt())
    document = copy.deepcopy(runctl.json("status", "last").document)

    change(document)

    assert problem in (problem_of_answer(document) or "")
