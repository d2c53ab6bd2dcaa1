"""Small files of the agent's own that are replaced as a whole: one who reads never sees half of one."""

import json
import os
from pathlib import Path
from typing import Any


def read_document(path: Path) -> dict[str, Any] | None:
    """Read it; None where there is none. Raises OSError."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return document


def write_document(path: Path, document: dict[str, Any], *, durably: bool = False) -> None:
    """Replace it; `durably` outlives the machine's sudden end too. Raises OSError, of a full disk for one."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file)
        if durably:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
