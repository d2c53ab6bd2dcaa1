"""Everything that is installed is pinned and hashed, and one package has one version everywhere.

What is known to be vulnerable is asked of a service: `make audit`.
"""

import re
from pathlib import Path

import pytest

from stacks.assembly.layout import REPOSITORY

LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))
PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==(?P<version>[^ ;\\]+)", re.MULTILINE)


def pins(lock: Path) -> dict[str, str]:
    """Version by package."""
    return {found["name"]: found["version"] for found in PINNED.finditer(lock.read_text())}


def entries(lock: Path) -> list[str]:
    """One text a requirement, with its hashes."""
    lines = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    return re.split(r"\n(?=\S)", "\n".join(lines))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    wrong = [
        entry.splitlines()[0] for entry in entries(lock) if not PINNED.match(entry) or "--hash=sha256:" not in entry
    ]

    assert wrong == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_names_an_index(lock: Path) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links", lock.read_text())


def test_a_package_has_one_version_in_all_locks() -> None:
    everything = pins(REPOSITORY / "requirements" / "dev.txt")
    others = {name: pins(REPOSITORY / "requirements" / f"{name}.txt") for name in ("lambda", "agent", "bootstrap")}

    different = {
        f"{lock}: {name}": version
        for lock, pinned in others.items()
        for name, version in pinned.items()
        if everything.get(name, version) != version
    }
    assert different == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_what_is_asked_for_is_locked(lock: Path) -> None:
    asked = (lock.with_suffix(".in")).read_text().splitlines()
    names = {
        re.split(r"[\[=<>~ ]", line)[0].lower().replace(".", "-") for line in asked if line and line[0] not in "#-"
    }

    assert names <= set(pins(lock))
