"""EC2's `Filters`: values of a filter are alternatives, filters must all hold, `*` and `?` are wildcards."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from runctl.local.machines.wire.errors import AwsError

Item = TypeVar("Item")
Values = Callable[[Item], list[str]]
"""What an item has to match a filter's values: one of them must."""


class Filter:
    """One filter's values, ready to be matched."""

    def __init__(self, values: list[str]) -> None:
        self._patterns = [re.compile(_pattern(value), re.DOTALL) for value in values]

    def matches(self, found: list[str]) -> bool:
        """Whether one of the values found is wanted."""
        return any(pattern.fullmatch(value) for pattern in self._patterns for value in found)


def matching(
    items: list[Item],
    filters: list[dict[str, Any]] | None,
    known: Mapping[str, Values[Item]],
    tags: Callable[[Item], Mapping[str, str]] | None = None,
) -> list[Item]:
    """Items that all filters let through; raises `InvalidParameterValue` for a filter that is not known here."""
    for each in filters or ():
        name, wanted = each.get("Name", ""), Filter(each.get("Values", []))
        values = _values(name, known, tags)
        items = [item for item in items if wanted.matches(values(item))]
    return items


def _values(
    name: str, known: Mapping[str, Values[Item]], tags: Callable[[Item], Mapping[str, str]] | None
) -> Values[Item]:
    if name in known:
        return known[name]
    if tags is not None and name == "tag-key":
        return lambda item: list(tags(item))
    if tags is not None and name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda item: [tags(item)[key]] if key in tags(item) else []
    raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid, or not known to runctl's local cloud")


def _pattern(value: str) -> str:
    """A regular expression of a filter's value; a backslash takes a wildcard's meaning away."""
    parts: list[str] = []
    characters = iter(value)
    for character in characters:
        match character:
            case "*":
                parts.append(".*")
            case "?":
                parts.append(".")
            case "\\":
                parts.append(re.escape(next(characters, "\\")))
            case _:
                parts.append(re.escape(character))
    return "".join(parts)
