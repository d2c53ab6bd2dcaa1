"""The site of the documentation: every page is in it, and every link leads somewhere. `make docs` builds it."""

import re
from pathlib import Path

import click
import pytest

from docs_site.__main__ import configuration
from docs_site.pages import commands_page, nav, write_pages
from runctl_cli.root import LazyGroup, root
from tests.docs.links import broken_links


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, as they are given to the generator."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    write_pages(folder)
    return folder


def test_every_page_is_in_the_navigation_once(pages: Path) -> None:
    listed = [path for _, found in nav(pages) for _, path in found]

    assert sorted(listed) == sorted(page.relative_to(pages).as_posix() for page in pages.rglob("*.md"))


def test_every_link_leads_somewhere(pages: Path) -> None:
    assert [problem for page in pages.rglob("*.md") for problem in broken_links(page)] == []


@pytest.mark.parametrize("link", ["nowhere.md", "cli.md#no-such-heading", "../FIDELITY.md"])
def test_broken_link_would_be_found(pages: Path, link: str) -> None:
    page = pages / "another.md"
    page.write_text(f"[x]({link})\n")

    found = list(broken_links(page))
    page.unlink()

    assert len(found) == 1


def test_reference_has_the_help_of_every_command() -> None:
    text = commands_page()

    def paths(group: LazyGroup, path: tuple[str, ...] = ()) -> list[str]:
        found: list[str] = []
        for name, _ in group.verbs.items():
            command = group.get_command(click.Context(group), name)
            found.append(" ".join(("runctl", *path, name)))
            if isinstance(command, LazyGroup):
                found += paths(command, (*path, name))
        return found

    headings = re.findall(r"^## `(.+)`$", text, re.MULTILINE)
    assert headings[0] == "runctl"
    assert sorted(headings[1:]) == sorted(paths(root))
    assert "Usage: runctl aws train [OPTIONS] INSTANCE" in text
    assert "\x1b" not in text


def test_configuration_names_every_section(pages: Path) -> None:
    text = configuration(pages)

    assert all(f'"{title}" = [' in text for title, _ in nav(pages))
