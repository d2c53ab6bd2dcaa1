"""Build the documentation as a site: `make docs`. A link that leads nowhere fails the build."""

import argparse
import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from docs_site.pages import REPOSITORY, nav, write_pages

FOLDER: Final = REPOSITORY / "build" / "docs"


def configuration(pages: Path) -> str:
    """The generator's configuration, in TOML: JSON's strings and lists are TOML's."""
    lines = [f"  {{ {json.dumps(title)} = [{_entries(found)}] }}," for title, found in nav(pages)]
    return "\n".join(
        [
            "[project]",
            'site_name = "runctl"',
            f"docs_dir = {json.dumps(pages.name)}",
            'site_dir = "site"',
            "use_directory_urls = false",
            "nav = [",
            *lines,
            "]",
            "[project.theme]",
            'features = ["navigation.instant", "navigation.sections", "search.highlight", "content.code.copy"]',
            "",
        ]
    )


def _entries(pages: list[tuple[str, str]]) -> str:
    return ", ".join(f"{{ {json.dumps(title)} = {json.dumps(path)} }}" for title, path in pages)


def build(generator: Path) -> Path:
    """Write the pages and let the generator make the site of them; answers its folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_pages(FOLDER / "pages")
    (FOLDER / "zensical.toml").write_text(configuration(FOLDER / "pages"))
    subprocess.run([generator, "build", "--strict", "--clean", "-f", "zensical.toml"], cwd=FOLDER, check=True)
    return FOLDER / "site"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True, help="The program `zensical`.")
    site = build(parser.parse_args().generator.absolute())
    print(f"The site is in {site}: open {site / 'index.html'}")
