"""What each function may call on any path through the controller, read from the sources, against what it may touch.

A path that is taken once a year, on a machine that outlives its notice, finds a missing right only then.
"""

import ast
from functools import cache

import pytest

from runctl.model.names import Function
from stacks.assembly.layout import REPOSITORY
from stacks.constructs.access import NEEDS, Need

CONTROLLER = REPOSITORY / "runctl" / "controller"
PREFIX = "runctl.controller."

NEED_OF_CALL = {
    ("machines", "create_fleet"): Need.LAUNCH_MACHINES,
    ("machines", "machine_types"): Need.LAUNCH_MACHINES,
    ("machines", "image_id"): Need.LAUNCH_MACHINES,
    ("machines", "root_device"): Need.LAUNCH_MACHINES,
    ("machines", "subnets"): Need.LAUNCH_MACHINES,
    ("machines", "machine"): Need.DESCRIBE_MACHINES,
    ("machines", "views"): Need.DESCRIBE_MACHINES,
    ("machines", "machines_of_run"): Need.DESCRIBE_MACHINES,
    ("machines", "tagged_machines"): Need.DESCRIBE_MACHINES,
    ("machines", "terminate"): Need.TERMINATE_MACHINES,
    ("machines", "stop"): Need.STOP_MACHINES,
    ("commands", "is_online"): Need.ASK_SSM,
    ("commands", "send"): Need.SEND_COMMANDS,
    ("tokens", "succeed"): Need.ANSWER_TOKENS,
    ("tokens", "fail"): Need.ANSWER_TOKENS,
    ("executions", "status"): Need.ASK_EXECUTIONS,
    ("bucket", "put_job"): Need.WRITE_HANDOFF,
    ("bucket", "put_go"): Need.WRITE_HANDOFF,
    ("bucket", "put_replacement_ready"): Need.WRITE_HANDOFF,
    ("bucket", "remove_job"): Need.REMOVE_HANDOFF,
    ("bucket", "manifests"): Need.READ_RESULTS,
    ("bucket", "links"): Need.READ_RESULTS,
    ("bucket", "final_marker"): Need.READ_RESULTS,
    ("schedules", "terminate_at"): Need.SET_SCHEDULES,
    ("schedules", "look_at"): Need.SET_SCHEDULES,
    ("schedules", "remove"): Need.REMOVE_SCHEDULES,
    ("schedules", "forget"): Need.REMOVE_SCHEDULES,
    ("notifications", "send"): Need.NOTIFY,
    ("metrics", "put"): Need.PUT_METRICS,
    ("prices", "price"): Need.KNOW_PRICES,
    ("prices", "spot_steps"): Need.KNOW_PRICES,
    ("budgets", "ledger"): Need.KEEP_BUDGETS,
    ("budgets", "ledgers"): Need.KEEP_BUDGETS,
    ("budgets", "reservation"): Need.KEEP_BUDGETS,
    ("budgets", "reservations"): Need.KEEP_BUDGETS,
    ("budgets", "write"): Need.KEEP_BUDGETS,
    ("budgets", "mark_told"): Need.KEEP_BUDGETS,
    ("ledger", "figures"): Need.READ_LEDGER,
    ("ledger", "month_usd"): Need.READ_LEDGER,
    ("ledger", "spendings"): Need.READ_LEDGER,
    ("ledger", "late_spendings"): Need.READ_LEDGER,
    ("pages", "put"): Need.KEEP_PAGES,
    ("webhooks", "names"): Need.READ_WEBHOOKS,
    ("webhooks", "url"): Need.READ_WEBHOOKS,
    ("later", "hand_on"): Need.TELL_LATER,
}
"""A port's name and method. Rights to the runs table are the same for every method."""


@cache
def names_of(module: str) -> dict[str, tuple[str, ast.AST | None]]:
    """What a name of a module of the controller stands for: where it is defined, and its definition when it is here."""
    found: dict[str, tuple[str, ast.AST | None]] = {}
    for node in ast.parse((CONTROLLER / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            origin = (node.module or "").removeprefix(PREFIX)
            found |= {alias.asname or alias.name: (f"{origin}:{alias.name}", None) for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = (f"{module}:{node.name}", node)
    return found


def calls_of(module: str, function: str) -> set[tuple[str, str]]:
    """Methods of ports that a function calls, itself or through what it mentions."""
    calls: set[tuple[str, str]] = set()
    seen: set[str] = set()
    waiting = [f"{module}:{function}"]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        here, _, name = place.partition(":")
        known = names_of(here)
        definition = known.get(name, ("", None))[1]
        for node in ast.walk(definition) if definition is not None else ():
            if isinstance(node, ast.Name) and node.id in known:
                waiting.append(known[node.id][0])
            elif isinstance(node, ast.Attribute):
                receiver = node.value
                if isinstance(receiver, ast.Name):
                    calls.add((receiver.id, node.attr))
                elif isinstance(receiver, ast.Attribute):
                    calls.add((receiver.attr, node.attr))
    return calls


def entries_of(function: Function) -> set[tuple[str, str]]:
    """Functions of the controller that a handler calls."""
    source = (REPOSITORY / "lambdas" / function.value / "handler.py").read_text(encoding="utf-8")
    return {
        ((node.module or "").removeprefix(PREFIX), alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX)
        for alias in node.names
        if alias.name[0].islower()
    }


@pytest.mark.parametrize("function", Function)
def test_a_function_has_the_right_to_every_call_of_every_path(function: Function) -> None:
    calls = set().union(*(calls_of(*entry) for entry in entries_of(function)))

    needed = {NEED_OF_CALL[call] for call in calls if call in NEED_OF_CALL}

    assert needed
    assert needed - set(NEEDS[function]) == set()
