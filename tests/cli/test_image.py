"""`runctl train --image`: what is kept with the run, and what is refused before anything is made."""

from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine

TRAIN = ("train", "train.py", "--instance-type", "t3.micro")


def test_image_is_kept_with_the_run_over_what_the_configuration_says(runctl: CommandLine, project: Path) -> None:
    (project / ".runctl.toml").write_text('[run]\nimage = "kites:1"\n')

    runctl(*TRAIN)
    runctl(*TRAIN, "--image", "pytorch/pytorch:2.9.0-cuda13.0-cudnn9-runtime")

    images = {run.spec.image for run in runctl.deployment.runs.runs.values()}
    assert images == {"kites:1", "pytorch/pytorch:2.9.0-cuda13.0-cudnn9-runtime"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image", "--privileged"), "image"),
        (("--image", "kites:1; reboot"), "image"),
        (("--image", "kites:1", "--setup", "pip install x"), "belongs into the image"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    runctl: CommandLine, words: tuple[str, ...], said: str
) -> None:
    answer = runctl.json(*TRAIN, *words)

    assert answer.exit_code == 2
    assert said in answer.error["message"]
    assert runctl.deployment.made == 0
