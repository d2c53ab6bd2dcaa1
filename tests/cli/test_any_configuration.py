"""Whatever stands in `.runctl.toml`: it is read or refused with a sentence, never a fault of ours."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.command_line import CommandLine

NAMES = st.sampled_from(
    [
        "target",
        "run",
        "project",
        "env",
        "name",
        "sync",
        "exclude",
        "max_runtime",
        "retries",
        "above_usd",
        "confirm",
        "port",
        "x",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        ['"local"', '"2h"', '"9d9h"', "[]", "[1]", "{}", "{a = 1}", "true", "-1", "nan", "inf", "1e400", "''"]
    ),
    st.dates().map(str),
    st.integers().map(str),
    st.text(max_size=8).map(repr),
)
LINES = st.one_of(
    st.tuples(NAMES, VALUES).map(" = ".join),
    NAMES.map("[{}]".format),
    NAMES.map("[[{}]]".format),
    st.tuples(NAMES, NAMES, VALUES).map(lambda parts: f"{parts[0]}.{parts[1]} = {parts[2]}"),
    st.text(max_size=12),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(lines=st.lists(LINES, max_size=5))
def test_configuration_is_read_or_refused(runctl: CommandLine, project: Path, lines: list[str]) -> None:
    (project / ".runctl.toml").write_text("\n".join(lines), encoding="utf-8")

    answer = runctl.json("ps")

    assert answer.exit_code in (0, 2), (lines, answer.error)
