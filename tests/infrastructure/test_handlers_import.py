"""Every handler string of the template imports from the built archive alone, as Lambda would import it."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from runctl.assembly import load_assembly
from runctl.local.functions_archive import default_cache, for_this_machine
from runctl.model.names import Function
from stacks.constructs.functions import handler_of
from tests.infrastructure.deployed_template import DeployedTemplate

OF_THE_RUNTIME = ("boto3", "botocore", "dateutil", "s3transfer", "six", "urllib3")
"""What Lambda's Python brings itself (Lambda Developer Guide, "Runtime-included SDK versions")."""

IMPORT_ALL = """
import importlib, json, sys
code, runtime, *handlers = sys.argv[1:]
sys.path[:0] = [code, runtime]
found = {}
for handler in handlers:
    module, _, name = handler.rpartition(".")
    found[handler] = callable(getattr(importlib.import_module(module), name))
carried = {"runctl", "lambdas", "pydantic", "aws_lambda_powertools"}
files = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in carried]
print(json.dumps({"found": found, "outside": [file for file in files if file and not file.startswith(code)]}))
"""


@pytest.fixture(scope="module")
def code(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive for this machine's Python, unpacked."""
    folder = tmp_path_factory.mktemp("code")
    functions, _ = for_this_machine(load_assembly(assembly), default_cache(), print).assets
    with zipfile.ZipFile(BytesIO(functions.content)) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runtime brings, and nothing else of this environment."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in OF_THE_RUNTIME:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        origin = Path(spec.origin)
        there = origin.parent if origin.name == "__init__.py" else origin
        (folder / there.name).symlink_to(there)
    return folder


def test_every_handler_imports_from_the_archive_alone(template: DeployedTemplate, code: Path, runtime: Path) -> None:
    handlers = sorted(f["Handler"] for f in template.of_type("AWS::Lambda::Function").values())

    told = subprocess.run(
        # -I and -S: no path of this repository, no site-packages.
        [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(code), str(runtime), *handlers],
        capture_output=True,
        text=True,
        check=False,
        env={"AWS_REGION": "us-east-1", "PATH": "/usr/bin:/bin"},
    )

    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert answer["found"] == {handler_of(function): True for function in Function}
    assert answer["outside"] == []


def test_a_missing_handler_would_be_noticed(code: Path, runtime: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(code), str(runtime), "lambdas.no_such.handler.handler"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )

    assert told.returncode != 0
    assert "lambdas.no_such" in told.stderr
