"""Values as DynamoDB's typed attributes, and back.

`encode` knows what pydantic's `model_dump()` makes of our models. Numbers come back as int or Decimal; `plain` turns
Decimals into floats for the free-form parts, which are JSON.

Source: Amazon DynamoDB Developer Guide, "Supported data types and naming rules in Amazon DynamoDB" (38 digits,
1E-130 to 9.99E+125, no infinity and no NaN).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from runctl.model.base import iso

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_SMALLEST: Final = 1e-130
_LARGEST: Final = 9.9e125
_DIGITS: Final = Context(prec=38)


def encode(value: object) -> "AttributeValueTypeDef":
    """Write a value as a typed attribute. Raises TypeError for what our models never hold."""
    match value:
        case None:
            return {"NULL": True}
        case Enum():
            return encode(value.value)
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case float():
            return _encode_float(value)
        case Decimal():
            return {"N": str(_DIGITS.plus(value))}
        case datetime():
            return {"S": iso(value)}
        case str():
            return {"S": value}
        case Mapping():
            entries = cast("Mapping[object, object]", value)
            return {"M": {_name(key): encode(entry) for key, entry in entries.items()}}
        case tuple() | list():
            return {"L": [encode(entry) for entry in cast("Sequence[object]", value)]}
        case _:
            raise TypeError(f"the table cannot hold a {type(value).__name__}")


def _encode_float(value: float) -> "AttributeValueTypeDef":
    # A diverged training reports NaN or infinity as its loss; what is no DynamoDB number is kept as text, which
    # pydantic reads back as a float.
    if math.isfinite(value) and (value == 0 or _SMALLEST <= abs(value) <= _LARGEST):
        return {"N": repr(value)}
    return {"S": repr(value)}


def _name(key: object) -> str:
    return str(key.value) if isinstance(key, Enum) else str(key)


def decode(attribute: "AttributeValueTypeDef") -> Any:
    """Read a typed attribute: str, int, Decimal, bool, None, list or dict. Raises TypeError for sets and bytes."""
    match attribute:
        case {"S": str(text)}:
            return text
        case {"N": str(text)}:
            return int(text) if text.lstrip("-").isdigit() else Decimal(text)
        case {"BOOL": bool(flag)}:
            return flag
        case {"NULL": _}:
            return None
        case {"M": entries}:
            return {key: decode(entry) for key, entry in entries.items()}
        case {"L": entries}:
            return [decode(entry) for entry in entries]
        case _:
            raise TypeError(f"the table holds an attribute of a type that is never written: {list(attribute)}")


def plain(value: Any) -> Any:
    """Turn Decimals into floats, at any depth."""
    match value:
        case Decimal():
            return float(value)
        case dict():
            return {key: plain(entry) for key, entry in cast("dict[str, Any]", value).items()}
        case list():
            return [plain(entry) for entry in cast("list[Any]", value)]
        case _:
            return value
