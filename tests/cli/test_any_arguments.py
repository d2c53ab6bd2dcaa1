"""Whatever is typed, and whatever stands in a run's file: it is done or refused, never a fault of ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runctl.client.checks import Finding, Health
from runctl.model.run import Run, RunSpec
from runctl.model.status import Reason, RunStatus
from runctl_cli.root import LazyGroup, root
from tests.cli.command_line import CommandLine
from tests.cli.test_contract import COMMANDS
from tests.client.deployment import NOW, a_run, an_attempt

PATHS = [
    path for path, command in COMMANDS.items() if not isinstance(command, LazyGroup) and path not in {("local", "logs")}
]
FLAGS = sorted(
    {flag for command in COMMANDS.values() for each in command.params for flag in each.opts if flag[0] == "-"}
)
GLOBAL = sorted({flag for each in root.params for flag in each.opts if flag not in {"--help"}})
WORDS = st.one_of(
    st.sampled_from(FLAGS),
    st.sampled_from(GLOBAL),
    st.sampled_from(
        ["last", "r-1hx3k7pabcde", "r-", "train.py", "../train.py", "t3.micro", "i-00000000000000001", "account"]
    ),
    st.sampled_from(["2h", "-1", "0", "1e9", "5 USD", "KEY=value", "=", "--", "-", "", "s3://images/x", "json", "aws"]),
    st.text(max_size=6),
)


@pytest.fixture
def peopled(runctl: CommandLine) -> CommandLine:
    """A deployment with an ended run; what is started there ends at once."""
    runctl.deployment.add(
        a_run(status=RunStatus.FAILED, reason=Reason.USER_ERROR, ended_at=NOW, message="It failed."),
        an_attempt(ended_at=NOW, reason=Reason.USER_ERROR),
    )

    def end(run: Run) -> None:
        ended = {"status": RunStatus.SUCCEEDED, "reason": Reason.COMPLETED, "ended_at": NOW, "version": run.version + 1}
        runctl.deployment.runs.runs[run.run_id] = run.model_copy(update=ended)

    runctl.deployment.runs.on_create = end
    runctl.wiring.of_checks.given = [Finding(check="region", health=Health.OK, text="eu-central-1.")]
    return runctl


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(path=st.sampled_from(PATHS), words=st.lists(WORDS, max_size=6))
def test_command_line_is_done_or_refused(peopled: CommandLine, path: tuple[str, ...], words: list[str]) -> None:
    answer = peopled(*path, *words)

    assert answer.exit_code in {0, 1, 2, 3, 4, 5, 130}, (path, words, answer)
    assert "Traceback" not in answer.stderr or "--debug" in words


FIELDS = st.sampled_from([*RunSpec.model_fields, "instance_type", "env", "spot", "x", ""])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["train.py", "t3.micro", "2h", "spot", "s3://images/x"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(document=st.one_of(st.dictionaries(FIELDS, VALUES, max_size=5), VALUES))
def test_file_of_a_run_is_followed_or_refused(peopled: CommandLine, project: Path, document: Any) -> None:
    (project / "run.yaml").write_text(json.dumps(document), encoding="utf-8")

    answer = peopled("train", "-f", "run.yaml", "--yes")

    assert answer.exit_code in {0, 2, 4, 5}, (document, answer)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(text=st.one_of(st.text(max_size=40), st.binary(max_size=20)))
def test_text_in_the_place_of_a_file_of_a_run_is_refused(
    peopled: CommandLine, project: Path, text: str | bytes
) -> None:
    file = project / "run.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))

    answer = peopled("train", "-f", "run.yaml", "--yes")

    assert answer.exit_code in {0, 2, 4, 5}, (text, answer)
