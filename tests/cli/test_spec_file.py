"""`runctl train -f run.yaml`: the file over the configuration, the command line over both."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic.json_schema import models_json_schema

from runctl.errors import UsageError
from runctl.model.run import Run
from runctl_cli.spec_file import SpecFile, read_spec_file
from tests.cli.command_line import CommandLine

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "run.schema.json"
WHOLE = """\
# a run
name: digits
script: train.py
args: [--epochs, 3, --fast]
instance_type: [t3.micro, t3.medium]
purchase: spot
max_runtime: 90m
max_cost: 4.50
env:
  MODE: no
"""


@pytest.fixture(autouse=True)
def project(runctl: CommandLine) -> None:
    (runctl.folder / "train.py").write_text("print(1)\n")
    (runctl.folder / "other.py").write_text("print(2)\n")


def _submitted(runctl: CommandLine, text: str, *words: str) -> Run:
    (runctl.folder / "run.yaml").write_text(text)
    answer = runctl("train", "-f", "run.yaml", "--yes", *words)
    assert answer.exit_code == 0, answer
    (run,) = runctl.deployment.runs.runs.values()
    return run


def test_file_says_what_is_run_and_how(runctl: CommandLine) -> None:
    run = _submitted(runctl, WHOLE)

    spec = run.spec
    assert (run.name, spec.script, spec.args) == ("digits", "train.py", ("--epochs", "3", "--fast"))
    assert (spec.instance_types, spec.purchase_option) == (("t3.micro", "t3.medium"), "spot")
    assert (spec.max_runtime_s, str(spec.max_cost_usd)) == (5_400, "4.5")
    assert spec.environment == {"MODE": "no"}


def test_command_line_weighs_more_than_the_file_and_the_file_more_than_the_configuration(runctl: CommandLine) -> None:
    (runctl.folder / ".runctl.toml").write_text('[run]\nretries = 5\nmax_runtime = "1h"\n[run.env]\nA = "1"\nB = "1"\n')

    run = _submitted(runctl, "script: train.py\nretries: 2\nenv: {B: '2'}\n", "--max-runtime", "2h", "--env", "C=3")

    assert (run.spec.retries, run.spec.max_runtime_s) == (2, 7_200)
    assert run.spec.environment == {"A": "1", "B": "2", "C": "3"}


@pytest.mark.parametrize(
    ("text", "words", "script", "args"),
    [
        ("script: train.py\nargs: --epochs 3\n", (), "train.py", ("--epochs", "3")),
        ("script: train.py\nargs: --epochs 3\n", ("--", "--epochs", "9"), "train.py", ("--epochs", "9")),
        ("script: train.py\nargs: [a]\n", ("other.py", "b"), "other.py", ("b",)),
        ("retries: 1\n", ("other.py", "--", "b"), "other.py", ("b",)),
    ],
)
def test_what_is_typed_replaces_what_the_file_runs(
    runctl: CommandLine, text: str, words: tuple[str, ...], script: str, args: tuple[str, ...]
) -> None:
    spec = _submitted(runctl, text, *words).spec

    assert (spec.script, spec.args) == (script, args)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("script: [\n", "line 2: not valid YAML"),
        ("script: train.py\nretrys: 1\n", "Did you mean retries?"),
        ("script: train.py\nmax_runtime: soon\n", "run.yaml, max_runtime:"),
        ("script: train.py\nmodule: train\n", "more than one of script, module and command"),
        ("just words\n", "holds no run"),
        ("{}\n", "Nothing is to be run"),
        ("script: train.py\nscript: other.py\n", "duplicate key"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_and_nothing_is_made(runctl: CommandLine, text: str, says: str) -> None:
    (runctl.folder / "run.yaml").write_text(text)

    answer = runctl("train", "-f", "run.yaml", "--yes")

    assert answer.exit_code == 2
    assert says in answer.stderr
    assert runctl.deployment.made == 0


def test_file_that_is_not_there_is_named(runctl: CommandLine) -> None:
    answer = runctl("train", "-f", "nothing.yaml")

    assert answer.exit_code == 2
    assert "nothing.yaml cannot be read" in answer.stderr


@given(text=st.text(max_size=60) | st.from_regex(r"(script|args|env|retries|max_cost): ?.{0,20}\n", fullmatch=True))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_is_answered_with_a_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    try:
        read_spec_file(path)
    except UsageError as error:
        assert error.hint


def schema() -> dict[str, Any]:
    """The JSON schema of a run's file, as it is kept in the documentation."""
    _, document = models_json_schema([(SpecFile, "validation")], title="A run of runctl")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/SpecFile", **document}


def test_published_schema_is_the_one_of_the_model() -> None:
    """Write it anew with: python -m tests.cli.test_spec_file"""
    assert json.loads(SCHEMA.read_text()) == schema()


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
