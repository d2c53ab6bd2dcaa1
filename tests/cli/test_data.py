"""`runctl train --data`: what is asked for, what is refused before anything is made."""

from pathlib import Path

import pytest

from runctl.model.run import DataMode, DataSource, Run
from tests.cli.command_line import CommandLine

TRAIN = ("train", "train.py", "--instance-type", "t3.micro")


def _run(runctl: CommandLine) -> Run:
    (run,) = runctl.deployment.runs.runs.values()
    return run


def test_data_and_output_folder_are_kept_with_the_run(runctl: CommandLine) -> None:
    answer = runctl(
        *TRAIN, "--data", "s3://images/cats", "--data", "s3://images/labels.csv:in/labels.csv", "--output-dir", "out/"
    )

    spec = _run(runctl).spec
    assert answer.exit_code == 0
    assert spec.data == (
        DataSource(bucket="images", prefix="cats"),
        DataSource(bucket="images", prefix="labels.csv", path="in/labels.csv"),
    )
    assert (spec.data_mode, spec.output_dir) == (DataMode.DOWNLOAD, "out")


def test_configuration_says_what_flags_do_not(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text(
        '[run]\ndata = "s3://images/cats:/mnt/cats"\ndata_mode = "mount"\noutput_dir = "out"\n'
    )

    runctl(*TRAIN)

    spec = _run(runctl).spec
    assert spec.data == (DataSource(bucket="images", prefix="cats", path="/mnt/cats"),)
    assert (spec.data_mode, spec.output_dir) == (DataMode.MOUNT, "out")


def test_bucket_that_was_not_allowed_is_refused_before_anything_is_made(runctl: CommandLine) -> None:
    answer = runctl.json(*TRAIN, "--data", "s3://payroll/2026")

    assert answer.exit_code == 2
    assert "may not read the bucket payroll: they may read images" in answer.error["message"]
    assert "runctl deploy --data-bucket payroll --data-bucket images" in answer.error["hint"]
    assert runctl.deployment.made == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--data", "images/cats"),
        ("--data", "s3://"),
        ("--data", "https://images/cats"),
        ("--data", "s3://images/cats:../up"),
        ("--data", "s3://UPPER/cats"),
        ("--output-dir", "../out"),
        ("--output-dir", "/out"),
        ("--data-mode", "copy"),
    ],
)
def test_what_makes_no_sense_is_refused(runctl: CommandLine, words: tuple[str, ...]) -> None:
    answer = runctl.json(*TRAIN, *words)

    assert answer.exit_code == 2
    assert runctl.deployment.made == 0
