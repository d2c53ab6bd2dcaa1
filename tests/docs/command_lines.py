"""Finds the command lines that the documentation names, and reads each with the real commands, without running it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from runctl_cli.root import root

REPOSITORY: Final = Path(__file__).parents[2]
PAGES: Final = (
    *(REPOSITORY / name for name in ("README.md", "CHANGELOG.md", "FIDELITY.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
)

_PROGRAM: Final = "runctl"
_PLACEHOLDER: Final = re.compile(r"[A-Z][A-Z_|…,]*|<.+>|.*…")
"""A word that stands for another one: RUN, USD, `<id>`."""
_ENDS: Final = {"&&", "||", ";", "|", "&", ")", ">", "2>&1"}


@dataclass(frozen=True)
class CommandLine:
    """One command line of the documentation."""

    page: str
    line: int
    words: tuple[str, ...]
    """What stands after `runctl`."""
    is_whole: bool
    """It can be typed as it stands; otherwise it is the name of a command in a sentence, which may lack arguments."""


def command_lines(page: Path) -> Iterator[CommandLine]:
    """Find those in blocks of code, and in sentences between backticks."""
    name = page.relative_to(REPOSITORY).as_posix() if page.is_relative_to(REPOSITORY) else page.name
    fence = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            fence = "" if fence else line.removeprefix("```") or "text"
            continue
        if fence in {"text", "sh", "bash", "console"} or (not fence and line.startswith("    ")):
            for words in _commands_of(line.strip().removeprefix("$ ")):
                yield CommandLine(name, number, words, is_whole=True)
        elif not fence:
            for text in re.findall(rf"`({_PROGRAM} [^`]*)`", line):
                for words in _commands_of(text):
                    yield CommandLine(name, number, words, is_whole=False)


def _commands_of(text: str) -> Iterator[tuple[str, ...]]:
    """Split a line of shell into its commands, `$( … )` included, and give those that are ours."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    if not re.search(rf"(^|[\s(\"]){_PROGRAM} ", text):
        return
    for inner in re.findall(r"\$\(([^)]*)\)", text):
        yield from _commands_of(inner)
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _ENDS:
            words.append(word)
            continue
        while words and re.fullmatch(r"\w+=\S*", words[0]):
            words.pop(0)
        if words and words[0] == _PROGRAM:
            yield tuple(words[1:])
        words = []


def problem_of(line: CommandLine) -> str | None:
    """Say what the command tree does not understand of a command line; None when there is nothing."""
    try:
        _read(root, "runctl", list(line.words), None, is_whole=line.is_whole)
    except click.ClickException as error:
        return error.format_message()
    return None


def _read(command: click.Command, name: str, words: list[str], parent: click.Context | None, *, is_whole: bool) -> None:
    """Parse as click does, but without callbacks, so that nothing is looked up and nothing is done."""
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    given, rest, order = command.make_parser(context).parse_args(args=list(words))
    if isinstance(command, click.Group):
        if given.get("help") or given.get("version"):
            return
        if not rest:
            if is_whole:
                raise click.UsageError("a command is missing", context)
            return
        if rest[0] in {"COMMAND", "…"}:
            return
        inner_name, inner, inner_words = command.resolve_command(context, rest)
        assert inner is not None
        _read(inner, inner_name or "", inner_words, context, is_whole=is_whole)
        return
    if rest:
        raise click.UsageError(f"unexpected: {' '.join(rest)}", context)
    if given.get("help"):
        return
    for parameter in order:
        _check_value(parameter, given.get(parameter.name or ""), context)
    if is_whole:
        missing = [p.name for p in command.params if p.required and not _is_given(given.get(p.name or ""))]
        if missing:
            raise click.UsageError(f"missing: {', '.join(map(str, missing))}", context)


def _is_given(value: object) -> bool:
    """click has a value of its own for what was not given, which is not a text and not a list of any."""
    return isinstance(value, str | bool) or (isinstance(value, list | tuple) and any(map(_is_given, value)))


def _check_value(parameter: click.Parameter, value: object, context: click.Context) -> None:
    texts = value if isinstance(value, list | tuple) else [value]
    for text in texts:
        is_free = not isinstance(text, str) or _PLACEHOLDER.fullmatch(text) or isinstance(parameter.type, click.Path)
        if not is_free:
            parameter.type.convert(text, parameter, context)
