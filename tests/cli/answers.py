"""Holds an answer to its published schema, docs/reference/answers.schema.json."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

SCHEMA_FILE: Final = Path(__file__).parents[2] / "docs" / "reference" / "answers.schema.json"


@cache
def schema() -> dict[str, Any]:
    """Read the published schema."""
    read: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return read


@cache
def _validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(_without_more(schema()))


def _without_more(part: Any) -> Any:
    """Refuse fields that are not described: readers pass over them, but none may be added without its description."""
    if isinstance(part, list):
        return [_without_more(each) for each in part]
    if not isinstance(part, dict):
        return part
    closed = {key: _without_more(value) for key, value in part.items()}
    return (
        {**closed, "additionalProperties": False} if part.get("type") == "object" and "properties" in part else closed
    )


def commands_with_schema() -> list[str]:
    """Name the commands whose `data` is described."""
    return [rule["if"]["properties"]["command"]["const"] for rule in schema()["allOf"] if "const" in _named(rule)]


def _named(rule: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = rule["if"]["properties"].get("command", {})
    return named


def problem_of_answer(document: Any) -> str | None:
    """Say what is not as published; None when there is nothing."""
    found = best_match(_validator().iter_errors(document))
    if found is None:
        return None
    return f"{document.get('command')}: {found.json_path}: {found.message} (see {SCHEMA_FILE.name})"
