#!/usr/bin/env python3
"""Train a small neural network on scikit-learn's handwritten digits, and resume exact to the bit.

    pip install -r training/requirements.txt
    python training/train_digits.py --epochs 40

A checkpoint holds the weights, the optimizer's state and the random generator's state. A training that was interrupted
and resumed therefore ends with the same weights, bit for bit, as one that was not: compare the hash on the last line.

SIGTERM: save, exit with 75 ("come back later"). SIGUSR1: save, go on.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

# One thread for linear algebra: sums are then added up in the same order on every machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

EX_TEMPFAIL = 75
HIDDEN = 64
BATCH = 32
MOMENTUM = 0.9

Floats = NDArray[np.float64]
Parameters = dict[str, Floats]


class CannotResume(Exception):
    """The checkpoint is not one that this training could go on from."""


def load_digits() -> tuple[Floats, NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Load the 1,797 digits of 8 x 8 pixels that come with scikit-learn: four fifths to learn, one fifth to test."""
    from sklearn import datasets  # pyright: ignore[reportMissingTypeStubs]

    pixels, labels = cast("tuple[Floats, Any]", datasets.load_digits(return_X_y=True))
    images, labels = pixels / 16, labels.astype(np.int64)
    is_test = np.arange(len(labels)) % 5 == 4
    return images[~is_test], labels[~is_test], images[is_test], labels[is_test]


def new_parameters(generator: np.random.Generator, pixels: int, classes: int) -> Parameters:
    """Draw the weights of a network with one hidden layer (He initialization)."""
    return {
        "w1": generator.standard_normal((pixels, HIDDEN)) * np.sqrt(2 / pixels),
        "b1": np.zeros(HIDDEN),
        "w2": generator.standard_normal((HIDDEN, classes)) * np.sqrt(2 / HIDDEN),
        "b2": np.zeros(classes),
    }


def forward(weights: Parameters, images: Floats) -> tuple[Floats, Floats]:
    """Answer the hidden layer and the probabilities of the classes."""
    hidden = np.maximum(images @ weights["w1"] + weights["b1"], 0)
    scores = hidden @ weights["w2"] + weights["b2"]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, powers / powers.sum(axis=1, keepdims=True)


def learn(weights: Parameters, velocity: Parameters, images: Floats, labels: NDArray[np.int64], rate: float) -> float:
    """Take one step of gradient descent with momentum, in place; answer the batch's mean loss before it."""
    rows = np.arange(len(labels))
    hidden, probabilities = forward(weights, images)
    loss = float(-np.log(np.maximum(probabilities[rows, labels], 1e-12)).mean())
    back = probabilities.copy()
    back[rows, labels] -= 1
    back /= len(labels)
    back_hidden = (back @ weights["w2"].T) * (hidden > 0)
    gradients = {
        "w1": images.T @ back_hidden,
        "b1": back_hidden.sum(axis=0),
        "w2": hidden.T @ back,
        "b2": back.sum(axis=0),
    }
    for name, gradient in gradients.items():
        velocity[name] = MOMENTUM * velocity[name] - rate * gradient
        weights[name] = weights[name] + velocity[name]
    return loss


def accuracy(weights: Parameters, images: Floats, labels: NDArray[np.int64]) -> float:
    """The share of images whose likeliest class is the right one."""
    return float((forward(weights, images)[1].argmax(axis=1) == labels).mean())


def digest(weights: Parameters) -> str:
    """SHA-256 of all weights: equal only when every bit is."""
    total = hashlib.sha256()
    for name in sorted(weights):
        total.update(np.ascontiguousarray(weights[name]).tobytes())
    return total.hexdigest()


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write a .npz so that it is there whole or not at all: under another name first, then renamed."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def save_checkpoint(
    folder: Path, epoch: int, seed: int, weights: Parameters, velocity: Parameters, generator: np.random.Generator
) -> Path:
    """Save everything that the rest of the training depends on."""
    about = {"seed": seed, "epoch": epoch, "generator": generator.bit_generator.state}
    arrays = {f"weights.{name}": array for name, array in weights.items()}
    arrays |= {f"velocity.{name}": array for name, array in velocity.items()}
    path = folder / f"epoch-{epoch:04d}.npz"
    write_arrays(path, {"about": json.dumps(about), **arrays})
    return path


def load_checkpoint(path: Path, seed: int, generator: np.random.Generator) -> tuple[int, Parameters, Parameters]:
    """Read what `save_checkpoint` wrote, and put the generator where it was; answer epoch, weights and velocity."""
    try:
        with np.load(path) as stored:
            about = json.loads(str(stored["about"]))
            names = [name.removeprefix("weights.") for name in stored.files if name.startswith("weights.")]
            weights: Parameters = {name: stored[f"weights.{name}"] for name in names}
            velocity: Parameters = {name: stored[f"velocity.{name}"] for name in names}
        found_seed, epoch = int(about["seed"]), int(about["epoch"])
        generator.bit_generator.state = about["generator"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise CannotResume(f"{path} is not a checkpoint of this script ({error!r})") from error
    if found_seed != seed:
        raise CannotResume(f"{path} is of a training with --seed {found_seed}, this one has --seed {seed}")
    return epoch, weights, velocity


def report(epoch: int, epochs: int, loss: float, throughput: float) -> None:
    """Add a line to the metrics file, when one was asked for."""
    path = os.environ.get("RUNCTL_METRICS_FILE")
    if path:
        line = {"step": epoch, "total_steps": epochs, "loss": round(loss, 6), "throughput": round(throughput, 1)}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Requests:
    """What was asked for by signal since the last look. A handler only takes a note; the training loop acts on it."""

    def __init__(self) -> None:
        self.save = False
        self.leave = False
        signal.signal(signal.SIGUSR1, self._on_save)
        signal.signal(signal.SIGTERM, self._on_leave)

    def close(self) -> None:
        """Listen no more: Python itself takes a moment to end, and a SIGTERM then must not undo a success."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _on_save(self, *_: object) -> None:
        self.save = True

    def _on_leave(self, *_: object) -> None:
        self.leave = True


def say(text: str) -> None:
    """Print a line at once: into a file Python would hold it back, and a log that lags helps nobody."""
    print(text, flush=True)


def train(options: argparse.Namespace, requests: Requests) -> int:
    """Train, and answer the exit code."""
    images, labels, test_images, test_labels = load_digits()
    generator = np.random.default_rng(options.seed)
    weights = new_parameters(generator, images.shape[1], 10)
    velocity = {name: np.zeros_like(array) for name, array in weights.items()}
    epoch = 0
    say(f"data   {len(labels):,} digits to learn, {len(test_labels):,} to test")
    if options.resume_from:
        epoch, weights, velocity = load_checkpoint(options.resume_from, options.seed, generator)
        say(f"resume {options.resume_from.name}: {epoch} of {options.epochs} epochs are done")
    options.checkpoint_dir.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        path = save_checkpoint(options.checkpoint_dir, epoch, options.seed, weights, velocity, generator)
        say(f"saved  {path.name}")

    while epoch < options.epochs:
        began = time.monotonic()
        order = generator.permutation(len(labels))
        losses = [
            learn(weights, velocity, images[batch], labels[batch], options.rate)
            for batch in np.array_split(order, np.arange(BATCH, len(order), BATCH))
        ]
        epoch += 1
        loss, correct = float(np.mean(losses)), accuracy(weights, test_images, test_labels)
        say(f"epoch  {epoch}/{options.epochs}  loss {loss:.4f}  accuracy {correct:.1%}")
        time.sleep(options.pause_s)
        report(epoch, options.epochs, loss, len(labels) / (time.monotonic() - began))
        if requests.leave and epoch < options.epochs:
            save()
            say(f"leave  asked to by SIGTERM after {epoch} of {options.epochs} epochs; exit code {EX_TEMPFAIL}")
            return EX_TEMPFAIL
        if requests.save or epoch % options.save_every == 0 or epoch == options.epochs:
            requests.save = False
            save()

    options.output_dir.mkdir(parents=True, exist_ok=True)
    write_arrays(options.output_dir / "weights.npz", dict(weights))
    say(f"done   accuracy {accuracy(weights, test_images, test_labels):.1%}  weights sha256 {digest(weights)}")
    return 0


def positive(text: str) -> int:
    """A whole number above zero, for argparse."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def folder_from(variable: str, default: str) -> Path:
    """Take a folder from the environment, or a default for when the script is run by hand."""
    return Path(os.environ.get(variable) or default)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a small neural network on handwritten digits.")
    parser.add_argument("--epochs", type=positive, default=40, help="times to go through the digits (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the order (default: 0)")
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate (default: 0.05)")
    parser.add_argument(
        "--save-every", type=positive, default=1, metavar="N", help="epochs between checkpoints (default: 1)"
    )
    parser.add_argument("--pause-s", type=float, default=0.0, help="sleep after each epoch, to watch it (default: 0)")
    parser.add_argument("--checkpoint-dir", type=Path, default=folder_from("RUNCTL_CHECKPOINT_DIR", "checkpoints"))
    parser.add_argument("--output-dir", type=Path, default=folder_from("RUNCTL_OUTPUT_DIR", "output"))
    parser.add_argument("--resume-from", type=Path, metavar="FILE", default=os.environ.get("RUNCTL_RESUME_FROM"))
    return parser.parse_args()


def main() -> int:
    """Run the script."""
    requests = Requests()  # before the slow imports: a signal must not meet a process that does not listen yet
    options = parse_arguments()
    try:
        exit_code = train(options, requests)
    except CannotResume as error:
        print(f"error  cannot resume: {error}", file=sys.stderr)
        exit_code = 1
    requests.close()
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
