"""Brings the words of the model and a spec's fields into the answers' schema: python -m tests.cli.write_answers

Everything else in docs/reference/answers.schema.json is written by hand: it is a promise, not a copy of the code.
"""

import json
from enum import StrEnum
from typing import Any, Final

from runctl.client.checks import Health
from runctl.model.price import PriceSource
from runctl.model.run import PurchaseOption, RunSpec
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from runctl_cli.setting_values import Source
from tests.cli.answers import SCHEMA_FILE, schema

WORDS: Final[dict[str, type[StrEnum]]] = {
    "run_status": RunStatus,
    "reason": Reason,
    "purchase_option": PurchaseOption,
    "timeline_kind": TimelineKind,
    "health": Health,
    "setting_source": Source,
    "price_source": PriceSource,
}
"""Definitions that list the members of an enumeration."""

_HIDDEN: Final = {
    "description": "Names of variables; each value is shown as ***.",
    "type": "object",
    "additionalProperties": {"const": "***"},
}
_OF_OUR_OWN: Final[dict[str, Any]] = {
    "code": {"$ref": "#/$defs/code"},
    "environment": _HIDDEN,
    "max_cost_usd": {"anyOf": [{"$ref": "#/$defs/usd"}, {"type": "null"}]},
    "purchase_option": {"$ref": "#/$defs/purchase_option"},
}
"""What documents show otherwise than the model holds it (`runctl.client.documents.spec_document`)."""


def written() -> dict[str, Any]:
    """Answer the schema with these parts as they are now."""
    definitions = schema()["$defs"]
    words = {name: {**definitions[name], "enum": [member.value for member in kind]} for name, kind in WORDS.items()}
    model = RunSpec.model_json_schema(mode="serialization")
    fields = {name: _OF_OUR_OWN.get(name) or _type_of(field, model) for name, field in model["properties"].items()}
    spec = {**definitions["spec"], "required": list(fields), "properties": fields}
    return {**schema(), "$defs": {**definitions, **words, "spec": spec}}


def _type_of(field: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Tell the type alone: limits are a matter of what may be asked for, and move."""
    if "$ref" in field:
        return _type_of(model["$defs"][field["$ref"].rpartition("/")[2]], model)
    if "enum" in field:
        return {"enum": field["enum"]}
    if "anyOf" in field:
        choices = [_type_of(choice, model) for choice in field["anyOf"]]
        return {"anyOf": choices}
    if field["type"] == "array":
        return {"type": "array", "items": _type_of(field["items"], model)}
    if field["type"] == "object":
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {"type": field["type"]}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json.dumps(written(), indent=2, ensure_ascii=False) + "\n")
