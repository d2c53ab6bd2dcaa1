"""Reference paths, payload templates and error names of the Amazon States Language, as far as we use them."""

from typing import Any, Final

Json = Any

MISSING: Final = object()


def matches(names: list[str], error: str) -> bool:
    """Tell whether a list of `ErrorEquals` takes an error. A missed heartbeat is a kind of timeout."""
    if error in names:
        return True
    if "States.Timeout" in names and error == "States.HeartbeatTimeout":
        return True
    return "States.ALL" in names and error not in ("States.Runtime", "States.DataLimitExceeded")


def find_path(path: str, data: Json) -> Json:
    """Follow a reference path; MISSING where there is nothing."""
    for part in path.split(".")[1:]:
        if not isinstance(data, dict) or part not in data:
            return MISSING
        data = data[part]
    return data


def at_path(path: str, data: Json) -> Json:
    """Follow a reference path. Raises KeyError where there is nothing."""
    found = find_path(path, data)
    if found is MISSING:
        raise KeyError(path)
    return found


def put_path(path: str | None, data: Json, value: Json) -> Json:
    """Put a result into the data: everywhere, nowhere, or into one field."""
    if path is None:
        return data
    if path == "$":
        return value
    head, *rest = path.split(".")[1:]
    if rest:
        raise NotImplementedError(f"ResultPath {path}")
    return {**data, head: value}


def fill(template: Json, data: Json, context: Json) -> Json:
    """Fill a payload template. Raises KeyError for a path that leads nowhere."""
    if not isinstance(template, dict):
        return template
    made: dict[str, Any] = {}
    for name, value in template.items():
        if name.endswith(".$"):
            source, path = (context, value[1:]) if value.startswith("$$") else (data, value)
            made[name[:-2]] = at_path(path, source)
        else:
            made[name] = fill(value, data, context)
    return made


def seconds_of(state: dict[str, Any], name: str, data: Json) -> float | None:
    """Read a time limit of a state, from the data where it says so; None when it has none."""
    if f"{name}Path" in state:
        return float(at_path(state[f"{name}Path"], data))
    return None if name not in state else float(state[name])


def named(state: dict[str, Any], name: str, data: Json) -> str:
    """Read the error or cause of a Fail state."""
    if f"{name}Path" in state:
        return str(at_path(state[f"{name}Path"], data))
    return str(state.get(name, ""))
