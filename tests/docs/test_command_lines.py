"""Every command line in the documentation is one that the command line understands; every target of make is there."""

import json
import re
from pathlib import Path

import click
import pytest

from runctl_cli.root import LazyGroup, root
from stacks.assembly.layout import ASSEMBLY
from tests.docs.command_lines import PAGES, REPOSITORY, CommandLine, command_lines, problem_of
from tests.docs.links import broken_links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_command_line_is_understood(page: Path) -> None:
    found = {
        f"{line.page}:{line.line}: runctl {' '.join(line.words)}": problem_of(line) for line in command_lines(page)
    }

    assert {text: problem for text, problem in found.items() if problem} == {}


def test_there_are_command_lines_to_read() -> None:
    assert sum(line.is_whole for page in PAGES for line in command_lines(page)) > 20


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("    runctl trian train.py", "No such command"),
        ("    runctl train train.py --sopt", "No such option"),
        ("    runctl ps extra", "unexpected: extra"),
        ("    runctl status", "missing: run"),
        ("    runctl init && runctl local upp  # begin", "No such command"),
        ('    eval "$(runctl local envv)"', "No such command"),
        ("    A=1 runctl ps --limit many", "not a valid integer"),
        ("```sh\nrunctl ps --wide\n```", "No such option"),
        ("Look with `runctl stat`.", "No such command"),
        ("Look with `runctl ps --wide`.", "No such option"),
    ],
)
def test_mistake_would_be_found(tmp_path: Path, text: str, problem: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)

    problems = [problem_of(line) for line in command_lines(page)]

    assert any(found and problem in found for found in problems), problems


def test_placeholders_and_names_in_a_sentence_are_no_mistakes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`runctl status`, `runctl resume RUN --max-cost USD`, `runctl COMMAND --help`, `runctl local`\n")

    lines = list(command_lines(page))

    assert len(lines) == 4
    assert [problem_of(line) for line in lines] == [None] * 4


def test_code_of_other_languages_is_not_taken_for_command_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nrunctl no-verb\n```\n\n    from runctl import Client\n")

    assert list(command_lines(page)) == []


def test_every_command_has_its_row_in_the_reference() -> None:
    text = (REPOSITORY / "docs" / "cli.md").read_text().split("\n## ")[0].replace("\\|", "or")
    rows = [re.findall(r"[\w-]+", row) for row in re.findall(r"^\| `([^|]+)` \|", text, re.MULTILINE)]

    absent = [path for path in _leaves(root) if not any(set(path) <= set(row) and row[0] == path[0] for row in rows)]

    assert absent == []


def test_every_target_of_make_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))

    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text())}

    assert named - targets == set()
    assert len(named) > 5


def test_alarms_of_the_runbook_are_those_of_the_template() -> None:
    template = json.loads((ASSEMBLY / "template.json").read_bytes())["Resources"]
    alarms = {
        name.removeprefix("Alarms") for name, each in template.items() if each["Type"] == "AWS::CloudWatch::Alarm"
    }
    text = (REPOSITORY / "docs" / "runbook.md").read_text()

    assert {name for name in alarms if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    assert list(broken_links(page)) == []


def _leaves(group: LazyGroup, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in group.verbs:
        command = group.get_command(click.Context(group), name)
        if isinstance(command, LazyGroup):
            found += _leaves(command, (*path, name))
        else:
            found.append((*path, name))
    return found


def test_a_command_line_knows_where_it_stands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n    runctl ps --limit 3 | head\n")

    assert list(command_lines(page)) == [CommandLine("page.md", 3, ("ps", "--limit", "3"), is_whole=True)]
