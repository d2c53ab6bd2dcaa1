"""The list of what runctl rests on names tests and files that exist."""

import ast
import re

import pytest

from stacks.assembly.layout import REPOSITORY

LIST = REPOSITORY / "docs" / "conformance.md"


def rows() -> list[list[str]]:
    """The cells of each row of the tables; headings are left out."""
    lines = [line for line in LIST.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| what ")]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def problem_with(test: str) -> str | None:
    """Say what is wrong with the name of a test, `file` or `file::function`."""
    file, _, function = test.partition("::")
    path = REPOSITORY / "tests" / file
    if not path.is_file():
        return f"{test}: no such file"
    names = {node.name for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.FunctionDef)}
    if function and not (function.startswith("test_") and function in names):
        return f"{test}: no such test"
    return None


def test_every_row_names_our_code_a_guide_and_a_test() -> None:
    incomplete = [row for row in rows() if len(row) != 4 or not all(row) or not quoted(row[1]) or not quoted(row[3])]

    assert len(rows()) > 20
    assert incomplete == []


def test_every_test_that_is_named_exists() -> None:
    problems = [problem_with(test) for row in rows() for test in quoted(row[3])]

    assert [problem for problem in problems if problem] == []


def test_every_file_that_rests_on_it_exists() -> None:
    assert [path for row in rows() for path in quoted(row[1]) if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("test", ["gates/test_nowhere.py", "gates/test_conformance.py::test_that_nobody_wrote"])
def test_a_wrong_name_would_be_found(test: str) -> None:
    assert problem_with(test) is not None
