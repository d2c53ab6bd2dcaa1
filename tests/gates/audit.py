"""Ask the vulnerability database about everything that is locked: `make audit`. Needs the network.

pip-audit (its README, "Usage") ends with 1 both when something is vulnerable and when it could not ask; here the second
is 2 and says so. It looks only at the pins that hold for the Python which runs it, and refuses a file that pins a
package twice; so it is given the pins of all locks without their conditions, as many files as there are versions.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from stacks.assembly.layout import REPOSITORY

VERSION: Final = "2.10.1"
NOTHING_FOUND, VULNERABLE, NOT_ASKED = 0, 1, 2

_PIN: Final = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==([^ ;\\]+)", re.MULTILINE)
_SHOWN: Final = 3


def pins_of(locks: Sequence[str]) -> set[tuple[str, str]]:
    """Every version of every package in the texts of lock files."""
    return {(found[1], found[2]) for text in locks for found in _PIN.finditer(text)}


def in_files(pins: set[tuple[str, str]]) -> list[list[str]]:
    """Requirements, one list a file, so that no file names a package twice."""
    files: list[dict[str, str]] = []
    for name, version in sorted(pins):
        for file in files:
            if name not in file:
                file[name] = version
                break
        else:
            files.append({name: version})
    return [[f"{name}=={version}" for name, version in file.items()] for file in files]


def verdict(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """The exit code and what to say, of the `dependencies` of pip-audit's JSON."""
    told = [
        f"{each['name']} {each['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
        for each in dependencies
        for found in each.get("vulns", [])
    ]
    skipped = [f"{each['name']}: {each['skip_reason']}" for each in dependencies if "skip_reason" in each]
    if told:
        return VULNERABLE, [f"{len(told)} known vulnerabilities:", *told]
    if skipped:
        more = [f"… and {len(skipped) - _SHOWN} more"] if len(skipped) > _SHOWN else []
        return NOT_ASKED, [f"{len(skipped)} of {len(dependencies)} could not be asked about:", *skipped[:_SHOWN], *more]
    if not dependencies:
        return NOT_ASKED, ["nothing was asked about"]
    return NOTHING_FOUND, [f"no known vulnerability in {len(dependencies)} packages"]


def ask(requirements: Sequence[str], folder: Path) -> list[Mapping[str, Any]]:
    """Let pip-audit ask about these requirements; raises OSError with its own words when it could not."""
    asked, answer = folder / "requirements.txt", folder / "answer.json"
    asked.write_text("\n".join(requirements) + "\n")
    answer.unlink(missing_ok=True)
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "tool", "run", f"pip-audit@{VERSION}", "--disable-pip", "--no-deps", "--progress-spinner=off"]
    command += ["--format=json", f"--output={answer}", f"--requirement={asked}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not answer.is_file():
        raise OSError(done.stderr.strip() or f"pip-audit ended with {done.returncode} and said nothing")
    found: list[Mapping[str, Any]] = json.loads(answer.read_bytes())["dependencies"]
    return found


def main() -> int:
    """Ask about all locks and say what was found."""
    locks = [path.read_text() for path in sorted((REPOSITORY / "requirements").glob("*.txt"))]
    dependencies: list[Mapping[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for requirements in in_files(pins_of(locks)):
                dependencies += ask(requirements, Path(folder))
        except OSError as error:
            sys.stderr.write(f"audit: the vulnerability database could not be asked.\n{error}\n")
            return NOT_ASKED
    code, lines = verdict(dependencies)
    sys.stderr.write("audit: " + "\n  ".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
