"""The template as it was last looked at: nothing of what is deployed changes unseen.

Hashes of archives are blanked, and so is the user data, which carries a whole program of its own: they change with any
line of code. After a change that is meant: `make snapshot`, and look at the difference before it is committed.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from stacks.assembly.layout import ASSEMBLY

SNAPSHOT = Path(__file__).with_name("template.snapshot.json")
HASH = re.compile(r"[0-9a-f]{64}")


def snapshot_of(template: dict[str, Any]) -> str:
    """The template in a form that shows a change as a line."""
    return json.dumps(_blanked(template), indent=1, sort_keys=True) + "\n"


def _blanked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "<user data>" if key == "UserData" else _blanked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_blanked(item) for item in value]
    return HASH.sub("<sha256>", value) if isinstance(value, str) else value


def test_the_template_is_the_one_that_was_looked_at(template: dict[str, Any]) -> None:
    expected, found = SNAPSHOT.read_text(encoding="utf-8"), snapshot_of(template)

    assert found == expected, "if it is meant: make snapshot, and look at the difference"


def test_code_does_not_change_the_snapshot_and_rights_do(template: dict[str, Any]) -> None:
    text = json.dumps(template)
    code = json.loads(re.sub(r"[0-9a-f]{64}", "0" * 64, text))
    rights = json.loads(text.replace("dynamodb:PutItem", "dynamodb:*"))

    assert snapshot_of(code) == snapshot_of(template)
    assert snapshot_of(rights) != snapshot_of(template)


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot_of(json.loads((ASSEMBLY / "template.json").read_bytes())), encoding="utf-8")
    sys.stderr.write(f"wrote {SNAPSHOT.name}\n")
