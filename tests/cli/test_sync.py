"""`runctl sync`: what is sent, what is not, what is said of it."""

from pathlib import Path

import pytest

from runctl.model.run import CodeRef
from tests.cli.command_line import CommandLine


def test_project_is_sent_and_nothing_is_launched(runctl: CommandLine) -> None:
    answer = runctl.json("sync")

    assert answer.exit_code == 0
    assert (answer.data["files"], answer.data["sent_files"], answer.data["skipped"]) == (2, 2, [])
    assert answer.data["sent_bytes"] > 0
    assert f"code/{answer.data['sha256']}.json.gz" in runctl.deployment.code.objects
    assert runctl.deployment.runs.runs == {}


def test_text_answer_is_the_hash_and_the_talk_says_what_moved(runctl: CommandLine) -> None:
    first, second = runctl("sync"), runctl("sync")

    assert len(first.stdout.strip()) == 64
    assert second.stdout == first.stdout
    assert "Target local, account 123456789012" in first.stderr
    assert "Sent the project: 2 files" in first.stderr
    assert "Project unchanged: 2 files" in second.stderr
    assert "nothing was sent" in second.stderr


def test_training_after_a_sync_sends_nothing(runctl: CommandLine) -> None:
    runctl("sync")
    written = len(runctl.deployment.code.written)

    answer = runctl("train", "train.py", "--instance-type", "t3.micro")

    assert "Project unchanged" in answer.stderr
    assert len(runctl.deployment.code.written) == written


def test_patterns_come_from_the_configuration_and_from_flags(runctl: CommandLine, project: Path) -> None:
    for name in ("data/a.csv", "data/b.csv", "notes/n.md", "x.log"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).touch()
    (project / ".gitignore").write_text("data/\n*.log\n")
    (project / ".runctl.toml").write_text('[sync]\ninclude = ["data/a.csv"]\nexclude = ["notes/"]\n')

    runctl.json("sync", "--include", "x.log", "--exclude", "train.py")

    (listing,) = (key for key in runctl.deployment.code.objects if key.endswith(".json.gz"))
    assert _sent(runctl, listing) == {".gitignore", ".runctl.toml", "data/a.csv", "x.log"}


def test_dry_run_names_the_largest_files_and_reaches_nothing(runctl: CommandLine, project: Path) -> None:
    (project / "big.bin").write_bytes(b"x" * 2_000_000)

    answer = runctl("sync", "--dry-run")

    assert answer.exit_code == 0
    assert answer.stdout.splitlines()[1].split() == ["2.0", "MB", "big.bin"]
    assert runctl.deployment.code.objects == {}


def test_project_that_is_too_large_is_refused_with_its_largest_files(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text("[sync]\nmax_mb = 1\n")
    (project / "big.bin").write_bytes(b"x" * 2_000_000)

    answer = runctl.json("sync")

    assert answer.exit_code == 2
    assert "big.bin" in answer.error["message"]
    assert runctl.deployment.code.objects == {}


@pytest.mark.parametrize("flag", ["--include", "--exclude"])
def test_train_takes_the_same_flags(runctl: CommandLine, project: Path, flag: str) -> None:
    (project / "x.log").touch()
    (project / ".gitignore").write_text("*.log\n" if flag == "--include" else "")

    runctl("train", "train.py", "--instance-type", "t3.micro", flag, "x.log")

    (run,) = runctl.deployment.runs.runs.values()
    assert ("x.log" in runctl.deployment.code.project(run.spec.code)) == (flag == "--include")


def _sent(runctl: CommandLine, key: str) -> set[str]:
    sha256 = key.removeprefix("code/").removesuffix(".json.gz")
    return set(runctl.deployment.code.project(CodeRef(key=key, sha256=sha256, bytes=0)))
