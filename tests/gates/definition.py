"""Checks a state machine's definition: its form by cfn-lint's schema, and what no schema says by rules of ours.

Sources: Amazon States Language specification; Step Functions Developer Guide, "Handling errors in Step Functions
workflows". Step Functions' own ValidateStateMachineDefinition needs an account: `make aws-smoke` asks it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Definition = dict[str, Any]
State = dict[str, Any]

TERMINAL = {"Succeed", "Fail"}


def problems_of_form(definition: Definition, folder: Path) -> list[str]:
    """What cfn-lint's rule E3601 finds in a template that holds nothing but this definition."""
    machine = {"RoleArn": "arn:aws:iam::123456789012:role/any", "Definition": definition}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine}}}
    file = folder / "template.json"
    file.write_text(json.dumps(template))
    linter = str(Path(sys.executable).with_name("cfn-lint"))
    told = subprocess.run([linter, "--format", "json", "--", str(file)], capture_output=True, text=True, check=False)
    return [f"{found['Rule']['Id']}: {found['Message']}" for found in json.loads(told.stdout or "[]")]


def problems_of_meaning(definition: Definition) -> list[str]:
    """Targets that do not exist, states that nobody reaches, errors that cannot be caught, times that contradict."""
    states: dict[str, State] = definition["States"]
    found = [f"StartAt names no state: {definition['StartAt']}"] if definition["StartAt"] not in states else []
    for name, state in states.items():
        found += [f"{name}: {problem}" for problem in _problems(state, set(states))]
    reached = _reached(definition)
    found += [f"{name}: no state leads to it" for name in states if name not in reached]
    found += [f"{name}: no way leads from it to an end" for name in reached if not _ends(name, states)]
    return found


def _problems(state: State, names: set[str]) -> Iterator[str]:
    for target in targets(state):
        if target not in names:
            yield f"leads to a state that does not exist: {target}"
    for field in ("TimeoutSeconds", "HeartbeatSeconds"):
        if field in state and f"{field}Path" in state:
            yield f"has both {field} and {field}Path"
    if (
        "HeartbeatSeconds" in state
        and "TimeoutSeconds" in state
        and state["HeartbeatSeconds"] >= state["TimeoutSeconds"]
    ):
        yield "a heartbeat that is not smaller than the timeout is refused"
    if state["Type"] == "Choice" and "Default" not in state:
        yield "a choice without a default ends in States.NoChoiceMatched"
    if state["Type"] == "Task" and not {"TimeoutSeconds", "TimeoutSecondsPath"} & set(state):
        yield "a task without a timeout may wait for a year"
    if str(state.get("Resource", "")).endswith(".waitForTaskToken") and "$$.Task.Token" not in json.dumps(state):
        yield "waits for a token that it gives to nobody"
    for field in ("Retry", "Catch"):
        yield from (f"{field}: {problem}" for problem in _problems_of_errors(state.get(field, [])))
    for retrier in state.get("Retry", []):
        if retrier.get("BackoffRate", 2) < 1:
            yield "Retry: BackoffRate is at least 1"
        if not 1 <= retrier.get("MaxDelaySeconds", 1) <= 31_622_400:
            yield "Retry: MaxDelaySeconds is from 1 to 31,622,400"
        if "MaxDelaySeconds" in retrier and retrier["MaxDelaySeconds"] <= retrier.get("IntervalSeconds", 1):
            yield "Retry: MaxDelaySeconds is larger than IntervalSeconds"


def _problems_of_errors(handlers: list[dict[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for number, handler in enumerate(handlers, start=1):
        errors: list[str] = handler["ErrorEquals"]
        if "States.ALL" in errors and (len(errors) > 1 or number < len(handlers)):
            yield "States.ALL stands alone and last"
        for error in errors:
            if error in seen:
                yield f"{error} never gets here: an earlier one takes it"
            if error == "States.HeartbeatTimeout" and "States.Timeout" in seen:
                yield "States.Timeout also takes a missed heartbeat, and stands before it"
        seen.update(errors)


def targets(state: State) -> Iterator[str]:
    """Names of all states to which a state leads."""
    for branch in (state, *state.get("Choices", []), *state.get("Catch", [])):
        yield from (branch[field] for field in ("Next", "Default") if field in branch)


def _reached(definition: Definition) -> set[str]:
    states: dict[str, State] = definition["States"]
    reached: set[str] = set()
    waiting = [definition["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name in states and name not in reached:
            reached.add(name)
            waiting += targets(states[name])
    return reached


def _ends(name: str, states: dict[str, State]) -> bool:
    onwards = _reached({"StartAt": name, "States": states})
    return any(states[each].get("End") or states[each]["Type"] in TERMINAL for each in onwards)
