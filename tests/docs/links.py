"""Links of a page of Markdown: where they lead."""

import re
from collections.abc import Iterator
from pathlib import Path


def broken_links(page: Path) -> Iterator[str]:
    """Name the links of a page that lead to no file, or to no heading of it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not _is_there(page, link):
            yield f"{page.name}: {link}"


def _is_there(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    path, _, heading = link.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return False
    return not heading or heading in anchors(file.read_text())


def anchors(text: str) -> set[str]:
    """Name the headings as GitHub does: small letters, no punctuation, hyphens for spaces."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
