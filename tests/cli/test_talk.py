"""How much is said: `--quiet`, `--verbose`, `--debug`, and faults of ours."""

import stat
from pathlib import Path

import pytest

from runctl_cli.byte_progress import ByteProgress
from runctl_cli.traces import keep_trace
from tests.cli.command_line import CommandLine
from tests.client.deployment import a_run


@pytest.fixture
def faulty(runctl: CommandLine) -> CommandLine:
    """A command line that meets a fault of ours."""
    runctl.wiring.refusal = ZeroDivisionError("division by zero")  # type: ignore[assignment]
    return runctl


def the_file(answer_hint: str) -> Path:
    return Path(answer_hint.partition(" is in ")[2].partition(";")[0])


@pytest.mark.parametrize(
    "words",
    [
        ("train", "train.py", "--instance-type", "t3.micro", "--yes"),
        ("status", "last"),
        ("ps",),
        ("cancel", "last"),
        ("resources", "list"),
        ("config", "validate"),
    ],
    ids=" ".join,
)
def test_quiet_says_nothing_but_the_answer(runctl: CommandLine, words: tuple[str, ...]) -> None:
    runctl.deployment.add(a_run())

    loud, quiet = runctl(*words), runctl("--quiet", *words)

    assert loud.exit_code == quiet.exit_code == 0
    assert quiet.stderr == ""
    assert bool(quiet.stdout) == bool(loud.stdout)


def test_quiet_says_errors(runctl: CommandLine) -> None:
    answer = runctl("status", "r-1hx3k7pzzzzz", "-q")

    assert answer.exit_code == 3
    assert answer.stderr.startswith("Error: There is no run r-1hx3k7pzzzzz.")


def test_quiet_transfer_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ByteProgress("Sending", None)

    progress.add(1, 2)
    progress.end()

    assert capsys.readouterr().err == ""


def test_fault_of_ours_is_a_sentence_and_a_file(faulty: CommandLine) -> None:
    answer = faulty("ps")

    file = the_file(answer.stderr)
    assert answer.exit_code == 6
    assert "Traceback" not in answer.stderr
    assert "ZeroDivisionError: division by zero" in answer.stderr
    assert "Traceback" in file.read_text()
    assert "runctl ps\n" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_fault_of_ours_in_json_names_the_file(faulty: CommandLine) -> None:
    error = faulty.json("ps").error

    assert error["code"] == "internal"
    assert the_file(error["hint"]).is_file()


def test_debug_shows_where_a_fault_comes_from(faulty: CommandLine) -> None:
    answer = faulty("ps", "--debug")

    assert "Traceback" in answer.stderr
    assert "Error: Something went wrong inside runctl" in answer.stderr


def test_debug_shows_where_an_error_comes_from_and_verbose_does_not(runctl: CommandLine) -> None:
    verbose, debug = runctl("status", "last", "--verbose"), runctl("status", "last", "--debug")

    assert "Traceback" not in verbose.stderr
    assert "Traceback" in debug.stderr


def test_kept_trace_hides_values_of_variables(runctl: CommandLine) -> None:
    file = keep_trace("Traceback", ["train", "x.py", "--env", "TOKEN=s3cret"])

    assert file is not None
    assert "s3cret" not in file.read_text()
    assert "--env TOKEN=***" in file.read_text()


def test_only_the_newest_traces_are_kept(runctl: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "runctl" / "faults"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"20200101T0000{number:02}-1.txt").touch()

    newest = keep_trace("Traceback", ["ps"])

    assert newest in folder.iterdir()
    assert len(list(folder.iterdir())) == 20


def test_trace_without_a_place_is_shown_by_debug_alone(
    faulty: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    answer = faulty("ps")

    assert answer.exit_code == 6
    assert "Run the command again with --debug" in answer.stderr
