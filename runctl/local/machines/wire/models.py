"""The parts of botocore's service models that are needed, and no more.

EC2's model has 4,000 shapes and costs 13 MB of resident memory once loaded. A short-lived process cuts out what the
wanted operations reach and leaves it as a small JSON file, named after botocore's version.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import botocore
import botocore.loaders
from botocore.model import ServiceModel


def load_model(service: str, operations: Iterable[str], cache: Path) -> ServiceModel:
    """Load the model of `service`, cut down to `operations`."""
    wanted = sorted(set(operations))
    digest = hashlib.sha256(",".join(wanted).encode()).hexdigest()[:12]
    file = cache / f"{service}-{botocore.__version__}-{digest}.json"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "runctl.local.machines.wire.models", service, str(file), *wanted]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return ServiceModel(json.loads(file.read_text()), service)


def cut_model(model: dict[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """Keep `operations` and every shape that they reach. Documentation is left out."""
    kept_operations = {name: model["operations"][name] for name in operations}
    pending = [
        operation[side]["shape"]
        for operation in kept_operations.values()
        for side in ("input", "output")
        if side in operation
    ]
    pending += [error["shape"] for operation in kept_operations.values() for error in operation.get("errors", ())]
    shapes: dict[str, Any] = {}
    while pending:
        name = pending.pop()
        if name in shapes:
            continue
        shape = shapes[name] = model["shapes"][name]
        pending += [member["shape"] for member in shape.get("members", {}).values()]
        pending += [shape[part]["shape"] for part in ("member", "key", "value") if part in shape]
    return cast(
        "dict[str, Any]",
        _without_documentation({"metadata": model["metadata"], "operations": kept_operations, "shapes": shapes}),
    )


def _without_documentation(node: Any) -> Any:
    if isinstance(node, dict):
        pairs = cast("dict[str, Any]", node).items()
        return {k: _without_documentation(v) for k, v in pairs if not (k == "documentation" and isinstance(v, str))}
    if isinstance(node, list):
        return [_without_documentation(item) for item in cast("list[Any]", node)]
    return node


def main(arguments: list[str]) -> None:
    """Write the cut model of `service` to `file`: `service file operation…`."""
    service, file, *operations = arguments
    model = cast("dict[str, Any]", botocore.loaders.Loader().load_service_model(service, "service-2"))
    partial = Path(file).with_suffix(".partial")
    partial.write_text(json.dumps(cut_model(model, operations)))
    partial.replace(file)


if __name__ == "__main__":
    main(sys.argv[1:])
