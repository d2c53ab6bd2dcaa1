"""What a shell completes: commands and flags without importing them, runs that were seen, nothing that is slow."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runctl_cli.known_runs import remember_runs
from tests.cli.command_line import CommandLine
from tests.client.deployment import a_run

HEAVY = ("boto3", "botocore", "rich", "pydantic", "runctl.client.client")


def completed(words: str, *, folder: Path) -> list[str]:
    """Ask as bash does, the cursor behind the last word; lines are `type,value`."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, atexit\natexit.register(lambda: print([n for n in {HEAVY!r} if n in sys.modules], "
            "file=sys.stderr))\nfrom runctl_cli.main import main\nsys.exit(main([]))",
        ],
        cwd=folder,
        env={
            **os.environ,
            "_RUNCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - (0 if words.endswith(" ") else 1)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.strip() == "[]", done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("runctl sta", {"status"}),
        ("runctl resources c", {"cost", "cleanup"}),
        ("runctl --output ", {"text", "json"}),
        ("runctl ps --al", {"--all-users"}),
        ("runctl no-such-verb x", set[str]()),
        ("runctl completion z", {"zsh"}),
    ],
)
def test_words_are_completed(project: Path, words: str, expected: set[str]) -> None:
    assert set(completed(words, folder=project)) == expected


def test_runs_that_were_listed_are_completed_by_id_and_name(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run("r-1hx3k7paaaaa", name="brave-otter"))
    runctl("ps")

    by_id = completed("runctl status r-", folder=runctl.folder)
    by_name = completed("runctl logs bra", folder=runctl.folder)

    assert (by_id, by_name) == (["r-1hx3k7paaaaa"], ["brave-otter"])


def test_run_that_was_started_is_completed(runctl: CommandLine) -> None:
    run_id = runctl("train", "train.py", "--instance-type", "t3.micro").stdout.strip()

    assert completed(f"runctl cancel {run_id[:6]}", folder=runctl.folder) == [run_id]


def test_runs_of_another_project_are_not(runctl: CommandLine, tmp_path: Path) -> None:
    runctl.deployment.add(a_run("r-1hx3k7paaaaa"))
    runctl("ps")
    other = tmp_path / "other"
    other.mkdir()

    assert completed("runctl status r-", folder=other) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"r-1": 3}', '{"r-1": ["a"]}'])
def test_damaged_memory_completes_nothing(runctl: CommandLine, tmp_path: Path, text: str) -> None:
    runctl.deployment.add(a_run("r-1hx3k7paaaaa"))
    runctl("ps")
    (file,) = (tmp_path / "cache" / "runctl" / "runs").iterdir()
    file.write_text(text)

    assert completed("runctl status ", folder=runctl.folder) == ["last"]


def test_only_the_newest_runs_are_kept(runctl: CommandLine) -> None:
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    remember_runs([a_run(f"r-1hx3k7p{one}{two}aaa") for one in alphabet for two in alphabet])

    found = completed("runctl status r-", folder=runctl.folder)

    assert len(found) == 200
    assert found[0] == "r-1hx3k7pzzaaa"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_is_one_that_the_shell_reads(runctl: CommandLine, shell: str) -> None:
    answer = runctl.json("completion", shell)

    assert "_RUNCTL_COMPLETE" in answer.data["script"]
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=answer.data["script"], text=True, check=True, timeout=30)
