"""Small assemblies of our own, written as `make assembly` writes the real one."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_assembly(directory: Path, template: Mapping[str, Any], sources: Mapping[str, str] | None = None) -> Path:
    """Write template, manifest and one `code.zip` with the given Python sources; return the folder."""
    assets = directory / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, text in (sources or {}).items():
            file.writestr(zipfile.ZipInfo(name), text)
    (assets / "code.zip").write_bytes(archive.getvalue())
    text = json.dumps(template)
    (directory / "template.json").write_text(text)
    code_sha256 = hashlib.sha256(archive.getvalue()).hexdigest()
    manifest = {
        "version": 1,
        "runctl_version": "0.0.0",
        "template_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "assets": [{"key": "code.zip", "path": "assets/code.zip", "sha256": code_sha256}],
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory
