"""What every training script of ours must do, whatever it trains: the contract of docs/training-scripts.md."""

import ast
import json
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.training.script import TRAINING, Script, end


def _read_json(path: Path) -> object:
    return json.loads(path.read_text())


def _read_npz(path: Path) -> object:
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


@dataclass(frozen=True)
class Kind:
    """One script: arguments for a short training, for one that lasts, its output, and how its checkpoints are read."""

    name: str
    short: tuple[str, ...]
    long: tuple[str, ...]
    output: str
    checkpoint_bytes: int
    read: Callable[[Path], object]

    def __str__(self) -> str:
        return self.name


KINDS = (
    Kind(
        "train_mnist_e2e.py",
        short=("--epochs", "4", "--limit", "300"),
        long=("--epochs", "10000", "--limit", "300"),
        output="model.json",
        checkpoint_bytes=100_000,
        read=_read_json,
    ),
    Kind(
        "train_digits.py",
        short=("--epochs", "8", "--pause-s", "0.02"),
        long=("--epochs", "100000"),
        output="weights.npz",
        checkpoint_bytes=60_000,
        read=_read_npz,
    ),
    Kind(
        "template.py",
        short=("--steps", "400", "--save-every", "50", "--pause-s", "0.001"),
        long=("--steps", "100000000", "--save-every", "50"),
        output="model.json",
        checkpoint_bytes=5_000,
        read=_read_json,
    ),
)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


@each_kind
def test_trains_and_leaves_a_checkpoint_an_output_and_metrics(kind: Kind, tmp_path: Path) -> None:
    script = Script(kind.name, tmp_path, *kind.short)

    ending = script.run()

    assert ending.exit_code == 0, ending
    assert "done" in ending.stdout
    assert kind.read(script.whole_checkpoints()[-1])
    assert [path.name for path in script.outputs.iterdir()] == [kind.output]
    lines = [json.loads(line) for line in script.metrics.read_text().splitlines()]
    assert all(line["loss"] >= 0 and line["throughput"] > 0 for line in lines)
    assert lines[-1]["step"] == lines[-1]["total_steps"]
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})


@each_kind
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(kind: Kind, tmp_path: Path) -> None:
    whole = Script(kind.name, tmp_path / "whole", *kind.short)
    broken = Script(kind.name, tmp_path / "broken", *kind.short)
    resumed = Script(kind.name, tmp_path / "resumed", *kind.short)
    uninterrupted = whole.run()

    interrupted = broken.run_and_interrupt()
    rest = resumed.run(resume_from=broken.whole_checkpoints()[-1])

    assert (uninterrupted.exit_code, interrupted.exit_code, rest.exit_code) == (0, 75, 0), (interrupted, rest)
    assert not list(broken.outputs.iterdir())
    assert (resumed.outputs / kind.output).read_bytes() == (whole.outputs / kind.output).read_bytes()
    assert rest.stdout.splitlines()[-1] == uninterrupted.stdout.splitlines()[-1]
    assert resumed.whole_checkpoints()[-1].read_bytes() == whole.whole_checkpoints()[-1].read_bytes()
    assert 0 < len(resumed.metrics.read_text().splitlines()) < len(whole.metrics.read_text().splitlines())


@each_kind
def test_runs_by_hand_in_a_terminal(kind: Kind, tmp_path: Path) -> None:
    script = Script(kind.name, tmp_path, *kind.short)

    ending = end(script.start(by_hand=True))

    assert ending.exit_code == 0, ending
    assert (script.working_folder / "output" / kind.output).is_file()
    assert list((script.working_folder / "checkpoints").iterdir())
    assert not script.metrics.exists()


@each_kind
def test_sigusr1_saves_and_goes_on(kind: Kind, tmp_path: Path) -> None:
    script = Script(kind.name, tmp_path, *kind.long)
    rarely = {"train_digits.py": ("--save-every", "1000000"), "template.py": ("--save-every", "1000000000")}
    process = script.start(*rarely.get(kind.name, ()))
    while not script.metrics.exists() and process.poll() is None:
        pass

    process.send_signal(signal.SIGUSR1)
    script.wait_for_checkpoints(process, 1)
    still_runs = process.poll() is None
    process.send_signal(signal.SIGTERM)

    assert still_runs
    assert end(process).exit_code == 75


@each_kind
def test_sigterm_after_the_end_of_training_does_not_undo_its_success(kind: Kind, tmp_path: Path) -> None:
    process = Script(kind.name, tmp_path, *kind.short).start()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("done"):
            break

    while process.poll() is None:
        process.send_signal(signal.SIGTERM)

    assert end(process).exit_code == 0


@each_kind
def test_a_disk_that_fills_up_leaves_no_torn_checkpoint(kind: Kind, tmp_path: Path) -> None:
    script = Script(kind.name, tmp_path, *kind.short)

    ending = script.run(file_size_limit=kind.checkpoint_bytes // 2)

    assert ending.exit_code not in (0, 75), ending
    assert script.whole_checkpoints() == []
    assert [path.suffix for path in script.checkpoints.iterdir()] == [".tmp"]


@each_kind
def test_a_training_that_is_killed_leaves_whole_checkpoints_only(kind: Kind, tmp_path: Path) -> None:
    script = Script(kind.name, tmp_path, *kind.long)
    process = script.start()
    script.wait_for_checkpoints(process, 3)

    process.kill()
    end(process)

    for path in script.whole_checkpoints():
        assert kind.read(path)


@each_kind
def test_imports_nothing_of_ours(kind: Kind) -> None:
    libraries = {"numpy", "sklearn"} if kind.name == "train_digits.py" else set[str]()
    tree = ast.parse((TRAINING / kind.name).read_text())
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imports |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.split(".")[0] for name in imports} <= sys.stdlib_module_names | libraries


@pytest.mark.parametrize("name", ["train_mnist_e2e.py", "train_digits.py"])
def test_a_checkpoint_that_does_not_fit_is_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    script = Script(name, tmp_path, "--epochs", "1")
    strange = tmp_path / "step-1.json"
    strange.write_text("{}")

    ending = script.run(resume_from=strange)

    assert ending.exit_code == 1
    assert "cannot resume" in ending.stderr
    assert "Traceback" not in ending.stderr
    assert script.whole_checkpoints() == []


@pytest.mark.parametrize("name", ["train_mnist_e2e.py", "train_digits.py"])
def test_a_checkpoint_of_another_seed_is_refused(name: str, tmp_path: Path) -> None:
    first = Script(name, tmp_path / "first", "--epochs", "1", "--seed", "1")
    second = Script(name, tmp_path / "second", "--epochs", "2", "--seed", "2")
    first.run()

    ending = second.run(resume_from=first.whole_checkpoints()[-1])

    assert ending.exit_code == 1
    assert "seed 1" in ending.stderr


def test_examples_of_the_documentation_are_python() -> None:
    text = (TRAINING.parent / "docs" / "training-scripts.md").read_text(encoding="utf-8")

    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)

    assert len(blocks) == 3
    for block in blocks:
        ast.parse(block)


def test_requirements_pin_what_the_tests_ran_with() -> None:
    pinned = (TRAINING.parent / "requirements" / "dev.txt").read_text().replace(" \\", "").splitlines()

    lines = [line for line in (TRAINING / "requirements.txt").read_text().splitlines() if not line.startswith("#")]

    assert lines
    assert [line for line in lines if line not in pinned] == []
