"""`runctl report`."""

from pathlib import Path

from runctl.model.status import RunStatus
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt


def test_report_is_written_beside_and_its_path_is_the_answer(runctl: CommandLine, project: Path) -> None:
    run = runctl.deployment.add(a_run(status=RunStatus.SUCCEEDED, ended_at=NOW), an_attempt())

    text, data = runctl("report", "last"), runctl.json("report", "last").data

    path = project / f"report-{run.run_id}.html"
    assert (text.exit_code, text.stdout) == (0, f"report-{run.run_id}.html\n")
    assert text.stderr == f"Open it in a browser: {path.as_uri()}\n"
    assert data == {"path": str(path.resolve()), "run_ids": [run.run_id], "bytes": path.stat().st_size}
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_report_of_several_runs_compares_them_and_each_once(runctl: CommandLine, project: Path) -> None:
    for letter in "ab":
        runctl.deployment.add(a_run(f"r-1hx3k7p{letter * 5}", name=f"name-{letter}"))

    answer = runctl("report", "1hx3k7pa", "1hx3k7pb", "1hx3k7pa", "--to", "new/all.html")

    assert answer.stdout == "new/all.html\n"
    assert "2 runs compared" in (project / "new" / "all.html").read_text(encoding="utf-8")


def test_report_of_a_run_that_goes_on_says_that_it_will_change(runctl: CommandLine) -> None:
    runctl.deployment.add(a_run(), an_attempt())

    assert "how things stand now" in runctl("report", "last").stderr


def test_report_that_cannot_be_written_is_told_with_what_to_do(runctl: CommandLine, project: Path) -> None:
    runctl.deployment.add(a_run())
    (project / "file").write_text("")

    answer = runctl("report", "last", "--to", "file/report.html")

    assert answer.exit_code == 2
    assert "--to" in answer.stderr


def test_report_of_a_run_that_is_not_there_writes_nothing(runctl: CommandLine, project: Path) -> None:
    answer = runctl("report", "r-1hx3k7pzzzzz")

    assert answer.exit_code == 3
    assert not list(project.glob("*.html"))
