"""Writes docs/reference/state-machine.md from the synthesized definition: python -m tests.docs.state_diagram

Mermaid's `stateDiagram-v2` (Mermaid, "State diagrams"); what a state does and waits for stands in the table below it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stacks.assembly.layout import ASSEMBLY
from tests.gates.definition import Definition, State
from tests.infrastructure.deployed_template import DeployedTemplate

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "state-machine.md"

_ENDS: Final = ("Succeed", "Fail")
_ERRORS: Final = {
    "States.ALL": "any other error",
    "States.Timeout": "timed out",
    "States.HeartbeatTimeout": "heartbeat missed",
}
_INTRODUCTION: Final = """\
# The state machine

One execution is one run. This page is written from the definition that is deployed
(`python -m tests.docs.state_diagram`), and a test compares the two.
What each function does: [architecture.md](../architecture.md#the-state-machine); what to do when a run stays in a
state: [runbook.md](../runbook.md).

⚠ on an arrow is an error that the state catches; the other words say what a choice looks at.
"""


def page(definition: Definition) -> str:
    """Write the whole page."""
    diagram = "\n".join(diagram_lines(definition))
    table = "\n".join(table_lines(definition))
    retries = "\n".join(retry_lines(definition))
    limit = f"The execution itself ends after {_span(definition['TimeoutSeconds'])}."
    return (
        f"{_INTRODUCTION}\n```mermaid\n{diagram}\n```\n\n## States\n\n{table}\n\n{limit}\n\n## Retries\n\n"
        f"Before a state's error is caught, the same step is tried again:\n\n{retries}\n"
    )


def diagram_lines(definition: Definition) -> Iterator[str]:
    """Draw every state, every way on, every choice and every catch."""
    states: dict[str, State] = definition["States"]
    yield "stateDiagram-v2"
    for name in in_order(definition):
        yield f'    state "{name}" as {_id(name)}'
    yield f"    [*] --> {_id(definition['StartAt'])}"
    for name in in_order(definition):
        state = states[name]
        for target, label in _ways(state):
            yield f"    {_id(name)} --> {_id(target)}" + (f" : {label}" if label else "")
        if state["Type"] in _ENDS or state.get("End"):
            yield f"    {_id(name)} --> [*]"


def table_lines(definition: Definition) -> Iterator[str]:
    """Say of each state what kind it is, how long it may take, and which errors lead where."""
    yield "| state | kind | at most | errors lead to |"
    yield "|---|---|---|---|"
    for name in in_order(definition):
        state = definition["States"][name]
        caught = "; ".join(f"{_caught(state, errors)} → {target}" for target, errors in _catches(state).items())
        yield f"| {name} | {_kind(state)} | {_limits(state)} | {caught} |"


def retry_lines(definition: Definition) -> Iterator[str]:
    """Say how often each error is tried again, and in which states."""
    where: dict[tuple[str, int, str], list[str]] = {}
    for name in in_order(definition):
        for retrier in definition["States"][name].get("Retry", []):
            pause = _span(retrier.get("IntervalSeconds", 1))
            key = (", ".join(f"`{error}`" for error in retrier["ErrorEquals"]), retrier.get("MaxAttempts", 3), pause)
            where.setdefault(key, []).append(name)
    yield "| error | times | first after | in |"
    yield "|---|---|---|---|"
    tasks = [name for name in in_order(definition) if definition["States"][name]["Type"] == "Task"]
    for (errors, times, pause), names in where.items():
        yield f"| {errors} | {times} | {pause} | {'every step' if names == tasks else ', '.join(names)} |"


def in_order(definition: Definition) -> list[str]:
    """Name the states from the start on, as far as each is from it; what a catch alone reaches comes after."""
    states: dict[str, State] = definition["States"]
    found = [definition["StartAt"]]
    for name in found:
        found += [target for target, _ in _ways(states[name]) if target not in found]
    return found + [name for name in states if name not in found]


def _ways(state: State) -> Iterator[tuple[str, str]]:
    for choice in state.get("Choices", []):
        yield choice["Next"], _condition(choice)
    if "Default" in state:
        yield state["Default"], "otherwise"
    if "Next" in state:
        yield state["Next"], ""
    for target, errors in _catches(state).items():
        yield target, f"⚠ {_caught(state, errors)}"


def _catches(state: State) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for catch in state.get("Catch", []):
        found.setdefault(catch["Next"], []).extend(catch["ErrorEquals"])
    return found


def _caught(state: State, errors: list[str]) -> str:
    if len(state["Catch"]) == 1 and errors == ["States.ALL"]:
        return "any error"
    return ", ".join(_ERRORS.get(error, error) for error in errors)


def _condition(choice: dict[str, Any]) -> str:
    variable = choice["Variable"].removeprefix("$.")
    (operator, value), *others = [(key, choice[key]) for key in choice if key not in {"Variable", "Next"}]
    if others or operator not in {"StringEquals", "IsPresent"}:
        raise ValueError(f"no words for this choice: {choice}")
    if operator == "IsPresent":
        return f"{variable} {'is given' if value else 'is not given'}"
    return f"{variable} is {value}"


def _kind(state: State) -> str:
    if state["Type"] == "Task":
        return "waits for a token" if state["Resource"].endswith(".waitForTaskToken") else "step"
    return {"Choice": "choice", "Wait": "pause", "Succeed": "end", "Fail": "end, failed"}[state["Type"]]


def _limits(state: State) -> str:
    if state["Type"] == "Wait":
        return f"`{state['SecondsPath'].removeprefix('$.')}`"
    whole = state.get("TimeoutSeconds")
    limit = f"`{state['TimeoutSecondsPath'].removeprefix('$.')}`" if "TimeoutSecondsPath" in state else ""
    limit = limit or ("" if whole is None else _span(whole))
    beat = state.get("HeartbeatSecondsPath")
    return limit + (f", heard of every `{beat.removeprefix('$.')}`" if beat else "")


def _span(seconds: int) -> str:
    if seconds >= 86_400 and seconds % 86_400 == 0:
        return f"{seconds // 86_400} days"
    return f"{seconds} s"


def _id(name: str) -> str:
    return "".join(word.capitalize() for word in re.findall(r"\w+", name))


def deployed_definition() -> Definition:
    """Read the definition of the assembly, which `make assembly` builds."""
    template = json.loads((ASSEMBLY / "template.json").read_bytes())
    found: Definition = DeployedTemplate(template, {}).state_machine
    return found


if __name__ == "__main__":
    PAGE.write_text(page(deployed_definition()))
