"""`train SCRIPT`, `train -m MODULE`, `train --command TEXT`: exactly one of them."""

from pathlib import Path

import pytest

from runctl.model.run import Run
from tests.cli.command_line import CommandLine


def _run(runctl: CommandLine) -> Run:
    (run,) = runctl.deployment.runs.runs.values()
    return run


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("torchrun --nproc-per-node 8 train.py", ("torchrun", "--nproc-per-node", "8", "train.py")),
        ("python -c 'print(1); print(2)'", ("python", "-c", "print(1); print(2)")),
        ("bash -c 'a && b > $HOME/c'", ("bash", "-c", "a && b > $HOME/c")),
        (r'echo "a; b" \$HOME', ("echo", "a; b", "$HOME")),
    ],
)
def test_command_is_kept_in_words(runctl: CommandLine, text: str, words: tuple[str, ...]) -> None:
    answer = runctl.json("train", "--command", text)

    spec = _run(runctl).spec
    assert answer.exit_code == 0
    assert (spec.script, spec.module, spec.command, spec.args) == ("", "", words, ())


def test_module_is_kept_with_its_file_and_arguments(runctl: CommandLine, project: Path) -> None:
    (project / "kites").mkdir()
    (project / "kites" / "fit.py").write_text("print(1)\n")

    runctl("train", "-m", "kites.fit", "--", "--epochs", "3")

    spec = _run(runctl).spec
    assert (spec.script, spec.module, spec.command) == ("kites/fit.py", "kites.fit", ())
    assert spec.args == ("--epochs", "3")


def test_what_runs_is_told_as_it_would_be_typed(runctl: CommandLine) -> None:
    answer = runctl("train", "--command", "torchrun train.py --title 'a b'")

    assert "torchrun train.py --title 'a b' on t3.medium" in answer.stderr
    assert "Command     torchrun train.py --title 'a b'" in runctl("status", "last").stdout
    assert runctl.json("ps").data["runs"][0]["script"] == "torchrun train.py --title 'a b'"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Nothing is to be run"),
        (["train.py", "--command", "torchrun train.py"], "More than one thing"),
        (["--command", "torchrun train.py", "--", "--epochs", "3"], "More than one thing"),
        (["--command", "torchrun train.py", "--args", "x"], "More than one thing"),
        (["-m", "train", "--command", "torchrun train.py"], "More than one thing"),
        (["--command", ""], "command is empty"),
        (["--command", "''"], "first word is empty"),
        (["--command", "cd a && python train.py"], "only a shell understands"),
        (["--command", "python train.py --lr $LR"], "only a shell understands"),
        (["--command", 'python train.py "$LR"'], "only a shell understands"),
        (["--command", "python 'train.py"], "cannot be split"),
        (["-m", "no.such"], "no module no.such"),
        (["-m", "../train"], "module"),
    ],
)
def test_what_cannot_be_run_is_refused(runctl: CommandLine, words: list[str], told: str) -> None:
    answer = runctl.json("train", *words)

    assert answer.exit_code == 2
    assert told in answer.error["message"]
    assert answer.error["hint"]
    assert runctl.deployment.made == 0
