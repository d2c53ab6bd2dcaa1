"""Reads `iam_actions.toml`, finds the calls of AWS in our sources, and asks AWS's list what an action may be about."""

import ast
import importlib.resources
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from botocore import xform_name
from botocore.session import get_session

from runctl.model.names import Function
from stacks.assembly.layout import REPOSITORY
from stacks.constructs.access import NEEDS, Need
from stacks.constructs.identity import id_of
from tests.infrastructure.deployed_template import ACCOUNT, REGION

ROOMS: Final = ("aws", "store", "client", "agent")
"""Rooms of `runctl` that may call AWS."""

SERVICES: Final = (
    *("ce", "cloudformation", "cloudwatch", "dynamodb", "ec2", "events", "iam", "lambda", "logs", "pricing", "s3"),
    *("scheduler", "secretsmanager", "service-quotas", "sns", "sqs", "ssm", "stepfunctions", "sts"),
)
"""Services whose operations are looked for, as boto3 names them."""

TRANSFERS: Final = {"upload_file": "s3", "upload_fileobj": "s3", "download_file": "s3", "download_fileobj": "s3"}
"""Methods of boto3's clients that are no operations but make some (Boto3 documentation, "S3 customizations")."""

MACHINE: Final = "machine"
PERSON: Final = "person"
EVERY_FUNCTION: Final = "every function"


@dataclass(frozen=True)
class Grant:
    """One action on one resource under one condition."""

    action: str
    resource: str
    condition: str
    """As sorted JSON; "{}" for none."""

    @classmethod
    def of(cls, action: str, resource: str, condition: Any = None) -> "Grant":
        """Write the condition in the one way in which conditions are compared."""
        return cls(action, resource, json.dumps(condition or {}, sort_keys=True))


@dataclass(frozen=True)
class Row:
    """A row of the table. `call` is None where AWS acts by itself."""

    call: str | None
    by: tuple[str, ...]
    needed: frozenset[Grant]
    granted_too: frozenset[Grant]
    """What a policy grants beside, with a reason in the table."""


@cache
def rows() -> tuple[Row, ...]:
    """Read the table."""
    text = (Path(__file__).with_name("iam_actions.toml")).read_text(encoding="utf-8")
    table = tomllib.loads(text.replace("REGION", REGION).replace("ACCOUNT", ACCOUNT))
    return tuple(_row(entry) for entry in (*table["call"], *table["service"]))


def _row(entry: dict[str, Any]) -> Row:
    needed = frozenset(
        Grant.of(wanted["action"], resource, wanted.get("when"))
        for wanted in entry["actions"]
        for resource in wanted["on"]
    )
    beside = {name: on for name, on in entry.get("granted_too", {}).items() if name != "why"}
    assert not beside or entry["granted_too"]["why"]
    granted_too = frozenset(Grant.of(action, resource) for action, on in beside.items() for resource in on)
    return Row(entry.get("name"), tuple(entry["by"]), needed, granted_too)


def rows_of(function: Function) -> Iterator[Row]:
    """The rows that a function's role must cover."""
    callers = {EVERY_FUNCTION, *(need.value for need in NEEDS[function])}
    return (row for row in rows() if callers.intersection(row.by))


def rows_of_machine() -> Iterator[Row]:
    """The rows that the machine's role must cover."""
    return (row for row in rows() if MACHINE in row.by)


def known_callers() -> set[str]:
    """What may stand in `by`."""
    return {MACHINE, PERSON, EVERY_FUNCTION, *(need.value for need in Need)}


def log_group_of(function: Function) -> str:
    """The placeholder of a function's own log group."""
    return f"<Functions{id_of(function)}Logs.Arn>"


@cache
def calls_in_sources() -> dict[str, set[str]]:
    """Every call of AWS in the rooms that may, as `service.method`, with the files that make it.

    Found by name: an attribute, or a string given to a paginator, a waiter or a presigner, that is an operation of one
    of our services. A gateway's own method must therefore not be named like an operation.
    """
    operations = _operations()
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        for path in sorted((REPOSITORY / "runctl" / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (name := _named(node)) in operations:
                    found.setdefault(operations[name], set()).add(path.relative_to(REPOSITORY).as_posix())
    return found


def _named(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def _operations() -> dict[str, str]:
    """`service.method` by method. Where services share a name, the first of them."""
    session = get_session()
    found: dict[str, str] = {}
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            method = cast("str", xform_name(operation))
            found.setdefault(method, f"{service}.{method}")
    return {**found, **{method: f"{service}.{method}" for method, service in TRANSFERS.items()}}


@cache
def _reference() -> dict[str, Any]:
    """The Service Authorization Reference, as cfn-lint carries it."""
    text = importlib.resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text("utf-8")
    return cast("dict[str, Any]", json.loads(text))


def resource_types(action: str) -> tuple[str, ...] | None:
    """Types of resource that an action knows; None for an action that does not exist."""
    service, _, name = action.partition(":")
    known = _reference().get(service, {}).get("Actions", {}).get(name.lower())
    return None if known is None else tuple(known.get("Resources", ()))


def known_actions(service: str) -> list[str]:
    """All actions of a service, in small letters, as `service:action`."""
    return [f"{service}:{name}" for name in _reference().get(service, {}).get("Actions", {})]


def arn_formats(action: str) -> list[str]:
    """What ARNs of the action's resources look like; `*` stands for any text."""
    known = _reference()[action.partition(":")[0]]["Resources"]
    return [
        re.sub(r"\$\{\w+\}|\.\*", "*", text.replace("${Partition}", "aws"))
        for kind in resource_types(action) or ()
        # Some types are written with a capital in one place and without in the other.
        for text in known.get(kind, known.get(kind.lower(), {})).get("ARNFormats", ())
    ]


def is_of_type(action: str, arn: str) -> bool:
    """Whether an ARN is one of a type that the action knows."""
    return any(fnmatchcase(arn, text) for text in arn_formats(action))
