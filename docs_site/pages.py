"""What the site shows, and where: pages of docs/ and of the repository's root, and a reference made of the help."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from runctl_cli.root import LazyGroup, root

REPOSITORY: Final = Path(__file__).parents[1]

COMMANDS_PAGE: Final = "reference/commands.md"
DECISIONS_PAGE: Final = "adr/index.md"
ABOUT_PAGE: Final = "about.md"

NAV: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    ("To begin", (("Start", "index.md"), ("Tutorial", "tutorial.md"), ("First deployment", "first-deployment.md"))),
    (
        "To do something",
        (
            ("The command line", "cli.md"),
            ("Training scripts", "training-scripts.md"),
            ("Runbook", "runbook.md"),
            ("Errors", "errors.md"),
        ),
    ),
    ("To look up", (("Every command", COMMANDS_PAGE), ("The state machine", "reference/state-machine.md"))),
    (
        "To understand",
        (
            ("What it is", ABOUT_PAGE),
            ("Architecture", "architecture.md"),
            ("Reliability", "reliability.md"),
            ("What things cost", "cost-model.md"),
            ("Fidelity", "FIDELITY.md"),
            ("Fidelity of machines", "fidelity-machines.md"),
            ("Conformance of services", "conformance.md"),
            ("Changelog", "CHANGELOG.md"),
        ),
    ),
)
"""Sections, and in each the pages with their titles; the decisions come last, from their folder."""

_ROOT_PAGES: Final = {"README.md": ABOUT_PAGE, "FIDELITY.md": "FIDELITY.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Pages of the repository's root, and their names on the site: a README.md would be its start, beside index.md."""
_LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_OUT: Final = re.compile(rf"^((?:\.\./)*)\.\./({'|'.join(map(re.escape, _ROOT_PAGES))})")
"""A link from a page of docs/ to one of the root."""
_WIDTH: Final = 100


def write_pages(target: Path) -> None:
    """Lay all pages out below `target`, with links that lead where they lie there."""
    shutil.copytree(REPOSITORY / "docs", target)
    for page in target.rglob("*.md"):
        page.write_text(_LINK.sub(_to_the_root, page.read_text()))
    for name, page_name in _ROOT_PAGES.items():
        (target / page_name).write_text(_LINK.sub(_from_the_root, (REPOSITORY / name).read_text()))
    (target / COMMANDS_PAGE).write_text(commands_page())
    (target / DECISIONS_PAGE).write_text(_decisions_page(target / "adr"))


def nav(target: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """The sections with their pages, the decisions included."""
    decisions = [(_title(page), f"adr/{page.name}") for page in sorted((target / "adr").glob("0*.md"))]
    sections = [(title, list(pages)) for title, pages in NAV]
    return [*sections, ("Decisions", [("Decisions", DECISIONS_PAGE), *decisions])]


def commands_page() -> str:
    """The help of every command, as the command prints it."""
    parts = ["# Every command", "", "What `runctl COMMAND --help` prints.", ""]
    for path, command in _commands(root, ()):
        words = " ".join(("runctl", *path))
        parts += [f"## `{words}`", "", "```text", _help(command, path), "```", ""]
    return "\n".join(parts)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, LazyGroup):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _commands(found, (*path, name))


def _help(command: click.Command, path: tuple[str, ...]) -> str:
    context = click.Context(root, info_name="runctl", terminal_width=_WIDTH, max_content_width=_WIDTH)
    for name in path[:-1]:
        context = click.Context(click.Command(name), parent=context, info_name=name)
    if path:
        context = click.Context(command, parent=context, info_name=path[-1])
    return click.unstyle(command.get_help(context)).rstrip()


def _from_the_root(link: re.Match[str]) -> str:
    """A link of a page of the repository's root; what is no page of the site is only named."""
    text, where = link[1], link[2]
    file, mark, heading = where.partition("#")
    is_page = where.startswith("docs/") or file in _ROOT_PAGES
    if not is_page and not re.match(r"[a-z]+:", where):
        return text
    where = _ROOT_PAGES.get(file, file.removeprefix("docs/")) + mark + heading
    return f"[{text}]({DECISIONS_PAGE if where == 'adr' else where})"


def _to_the_root(link: re.Match[str]) -> str:
    """A link of a page of docs/: the repository's root is the site's."""
    text, where = link[1], _OUT.sub(lambda found: found[1] + _ROOT_PAGES[found[2]], link[2])
    return f"[{text}]({DECISIONS_PAGE if where == 'adr' else where})"


def _decisions_page(folder: Path) -> str:
    rows = [f"- [{_title(page)}]({page.name})" for page in sorted(folder.glob("0*.md"))]
    return "\n".join(["# Decisions", "", *rows, ""])


def _title(page: Path) -> str:
    return page.read_text().partition("\n")[0].lstrip("# ").strip()
