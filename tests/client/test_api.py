"""`from runctl import Client, RunSpec`, and nothing before it is asked for."""

import subprocess
import sys

import pytest


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_importing_runctl_imports_nothing_else() -> None:
    new = _python("import sys; before = set(sys.modules); import runctl; print(sorted(set(sys.modules) - before))")

    assert new == "['runctl']"


def test_api_is_there_when_it_is_named() -> None:
    from runctl import Client, RunSpec

    assert Client.__module__ == "runctl.client.client"
    assert RunSpec(script="train.py", instance_types=("t3.micro",)).max_runtime_s == 86_400


def test_unknown_name_is_an_attribute_error() -> None:
    import runctl

    with pytest.raises(AttributeError, match="Clint"):
        _ = runctl.Clint  # type: ignore[attr-defined]
