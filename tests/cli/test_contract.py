"""What holds for every command: help, global flags, one JSON document, codes with a place in the documentation."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import pytest

from runctl import errors
from runctl.local import errors as local_errors
from runctl.model.status import EXIT_CODE_OF_REASON, Reason
from runctl_cli import faults
from runctl_cli.main import main
from runctl_cli.root import LazyGroup, Verb, global_options, root
from tests.cli.command_line import CommandLine

DOCS = Path(__file__).parents[2] / "docs"
HELP = Path(__file__).parent / "help"
WIDTHS = (60, 80, 200)
HEAVY = ("boto3", "botocore", "rich", "pydantic", "pathspec", "runctl.client.client", "runctl.local")


def _commands(group: LazyGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Walk through every command, groups included."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, LazyGroup):
            yield from _commands(command, (*path, name))


COMMANDS = dict(_commands(root))
PATHS = [(), *COMMANDS]


def _own_options(command: click.Command) -> set[str]:
    return {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_flag_of_a_command_shadows_a_global_one(path: tuple[str, ...]) -> None:
    reserved = {flag for option in global_options() for flag in option.opts} | {"--help", "-h", "--version"}

    assert not _own_options(COMMANDS[path]) & reserved


def test_shadowing_flag_would_be_found() -> None:
    command = click.Command("x", params=[click.Option(["--output"])])

    assert _own_options(command) & {flag for option in global_options() for flag in option.opts}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_line_in_the_list_is_the_first_of_the_commands_help(path: tuple[str, ...]) -> None:
    group = cast("LazyGroup", COMMANDS[path[:-1]]) if path[:-1] else root
    command = COMMANDS[path]

    assert command.help is not None
    assert group.verbs[path[-1]].summary == command.help.split("\n")[0]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_of_every_command_shows_an_example(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]

    assert isinstance(command, Verb | LazyGroup)
    assert command.epilog is not None
    assert f"runctl {' '.join(path)}" in command.epilog


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
@pytest.mark.parametrize("width", WIDTHS)
def test_help_is_the_one_that_is_kept(
    path: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Write the kept files anew with: python -m tests.cli.write_help"""
    monkeypatch.setenv("COLUMNS", str(width))

    exit_code = main([*path, "--help"])

    kept = HELP / f"{'-'.join(('runctl', *path))}.{width}.txt"
    assert exit_code == 0
    assert capsys.readouterr().out == kept.read_text()


def test_no_kept_help_is_of_a_command_that_is_gone() -> None:
    expected = {f"{'-'.join(('runctl', *path))}.{width}.txt" for path in PATHS for width in WIDTHS}

    assert {file.name for file in HELP.iterdir()} == expected


@pytest.mark.parametrize("words", [[], ["train"], ["status"], ["local"], ["local", "up"]], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom runctl_cli.main import main\n"
        f"main([*{words!r}, '--help'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stderr.strip() == "[]"


def test_module_runs_as_the_program_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runctl_cli", "--version"], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.startswith("runctl ")


def test_global_flags_mean_the_same_before_and_after_the_command(runctl: CommandLine) -> None:
    before, after = runctl("--output", "json", "ps"), runctl("ps", "--output", "json")

    assert before == after
    assert before.document["command"] == "ps"


@pytest.mark.parametrize(
    "words",
    [
        ["ps"],
        ["status", "last"],
        ["train", "none.py"],
        ["no-such-verb"],
        ["ps", "--no-such-flag"],
        ["local"],
        ["local", "status"],
        ["local", "env"],
        ["local", "no-capacity", "g5.xlarge"],
        ["deploy", "--yes"],
        ["destroy", "--stack-name", "other"],
        [],
    ],
    ids=" ".join,
)
def test_json_is_one_document_whatever_happens(runctl: CommandLine, words: list[str]) -> None:
    answer = runctl("--output", "json", *words)

    document = json.loads(answer.stdout)
    assert list(document) == ["version", "command", "ok", "data", "errors"]
    assert document["version"] == 1
    assert document["ok"] is (answer.exit_code == 0)
    assert all(list(error) == ["code", "message", "hint", "docs"] for error in document["errors"])


def test_command_is_named_in_the_document_even_when_it_cannot_be_parsed(runctl: CommandLine) -> None:
    assert runctl("--output=json", "local", "up", "--nope").document["command"] == "local up"


def test_without_a_command_help_goes_to_stderr(runctl: CommandLine) -> None:
    answer = runctl()

    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("Usage: runctl")


def _error_classes(module: Any) -> set[type[errors.RunctlError]]:
    return {
        member
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, errors.RunctlError)
    }


def test_every_error_code_is_explained() -> None:
    classes = _error_classes(errors) | _error_classes(local_errors) | _error_classes(faults)
    headings = {
        line.removeprefix("## ").strip("`")
        for line in (DOCS / "errors.md").read_text().splitlines()
        if line[:3] == "## "
    }

    assert {found.code for found in classes} - headings == set()


def test_exit_codes_in_the_documentation_are_the_classes_own() -> None:
    text = (DOCS / "errors.md").read_text()

    for found in _error_classes(errors) | _error_classes(local_errors) | _error_classes(faults):
        if found in {errors.RunctlError, errors.AttemptEnded}:
            continue
        section = text.split(f"## `{found.code}`\n")[1].split("\n## ")[0]
        assert f"Exit code {found.exit_code}" in section, found


def test_every_reason_but_success_reads_as_an_error_with_its_exit_code() -> None:
    assert set(faults.ERROR_OF_REASON) == set(Reason) - {Reason.COMPLETED}
    for reason, found in faults.ERROR_OF_REASON.items():
        assert found.exit_code == EXIT_CODE_OF_REASON[reason]
        assert found.reason is reason
