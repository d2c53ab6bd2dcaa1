#!/usr/bin/env python3
"""Train a handwritten-digit classifier on MNIST, end to end, with nothing but Python.

    python training/train_mnist_e2e.py                        # a small made-up set of digits, a few seconds
    python training/train_mnist_e2e.py --data ~/mnist         # MNIST's own four IDX files, .gz or not

The model is softmax regression, learned image by image. A checkpoint holds everything that the rest of the training
depends on, so a training that was interrupted and resumed ends with the same weights as one that was not.

SIGTERM: save, exit with 75 ("come back later"). SIGUSR1: save, go on.
"""

import argparse
import gzip
import hashlib
import json
import math
import os
import random
import signal
import struct
import sys
import time
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

EX_TEMPFAIL = 75
CLASSES = 10
STEP_IMAGES = 50  # images learned between two looks at the clock, the signals and the loss

# -- data --------------------------------------------------------------------------------------------------------


class DataError(Exception):
    """The data cannot be used; the message says which file and why."""


class Image(NamedTuple):
    """One digit: only the pixels that are not black, for most are."""

    pixels: "array[int]"
    values: "array[float]"
    label: int


class Dataset(NamedTuple):
    """Images to learn from, images to be tested on, and pixels in an image."""

    train: list[Image]
    test: list[Image]
    size: int


def read_idx(path: Path, dimensions: int) -> tuple[tuple[int, ...], bytes]:
    """Read an IDX file of unsigned bytes: two zero bytes, the type, the number of dimensions, their sizes, the data."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path} is a broken gzip file: {error}") from error
    if len(content) < 4 or content[:2] != b"\x00\x00":
        raise DataError(f"{path} is not an IDX file: it starts with {content[:4].hex(' ') or 'nothing'}")
    if content[2] != 0x08:
        raise DataError(f"{path} holds values of type 0x{content[2]:02x}; MNIST's are unsigned bytes, 0x08")
    if content[3] != dimensions:
        raise DataError(f"{path} has {content[3]} dimension(s) where {dimensions} were expected; is it the right file?")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path} ends within its header, after {len(content)} bytes")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected, found = math.prod(shape), len(content) - start
    if found != expected:
        raise DataError(f"{path} says {' x '.join(map(str, shape))} = {expected:,} bytes of data and holds {found:,}")
    return shape, content[start:]


def find_idx(folder: Path, part: str, kind: str) -> Path:
    """Find e.g. train-images-idx3-ubyte, under each of the names that it is distributed with."""
    names = [f"{part}-{kind}{mark}-ubyte{end}" for mark in ("-idx3", "-idx1", ".idx3", ".idx1") for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    kind_name = "idx3" if kind == "images" else "idx1"
    raise DataError(f"{folder} has no {part}-{kind}-{kind_name}-ubyte, with or without .gz")


def read_images(folder: Path, part: str, limit: int | None) -> tuple[list[Image], int]:
    """Read the images and labels of one part, `train` or `t10k`."""
    images_path, labels_path = find_idx(folder, part, "images"), find_idx(folder, part, "labels")
    (count, rows, columns), pixels = read_idx(images_path, 3)
    (label_count,), labels = read_idx(labels_path, 1)
    if count != label_count:
        raise DataError(f"{images_path} holds {count:,} images and {labels_path} {label_count:,} labels")
    if count == 0 or rows * columns == 0:
        raise DataError(f"{images_path} holds no images")
    if max(labels) >= CLASSES:
        raise DataError(f"{labels_path} holds the label {max(labels)}; digits go from 0 to 9")
    size = rows * columns
    chosen = range(min(count, limit or count))
    return [sparse(pixels[number * size : (number + 1) * size], labels[number]) for number in chosen], size


def sparse(pixels: bytes, label: int) -> Image:
    """Keep the pixels that are not black, scaled to 0…1."""
    lit = [position for position, value in enumerate(pixels) if value]
    return Image(array("I", lit), array("d", [pixels[position] / 255 for position in lit]), label)


def read_mnist(folder: Path, limit: int | None) -> Dataset:
    """Read MNIST's four files."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; --data takes the one that holds MNIST's four IDX files")
    train, train_size = read_images(folder, "train", limit)
    test, test_size = read_images(folder, "t10k", limit)
    if train_size != test_size:
        raise DataError(f"{folder}: the train and t10k images differ in size")
    return Dataset(train, test, train_size)


# Five pixels wide, seven high: a row is five bits.
GLYPHS = (
    (0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110),
    (0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110),
    (0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b01000, 0b11111),
    (0b11111, 0b00010, 0b00100, 0b00010, 0b00001, 0b10001, 0b01110),
    (0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010),
    (0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110),
    (0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110),
    (0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000),
    (0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110),
    (0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100),
)
SIDE = 28


def draw_digit(digit: int, chance: random.Random) -> Image:
    """Draw a digit as MNIST has them, 28 x 28: shifted a little, uneven ink, some dirt."""
    canvas = bytearray(SIDE * SIDE)
    left, top = 6 + chance.randint(-2, 2), 3 + chance.randint(-2, 2)
    for y in range(21):
        for x in range(15):
            if GLYPHS[digit][y // 3] >> (4 - x // 3) & 1 and chance.random() > 0.1:
                canvas[(top + y) * SIDE + left + x] = chance.randint(120, 255)
    for _ in range(12):
        canvas[chance.randrange(len(canvas))] = chance.randint(1, 200)
    return sparse(bytes(canvas), digit)


def make_digits(limit: int | None) -> Dataset:
    """Make the set that is used when there is no --data: the same every time."""
    chance = random.Random("digits")
    train = [draw_digit(number % CLASSES, chance) for number in range(min(1_500, limit or 1_500))]
    test = [draw_digit(number % CLASSES, chance) for number in range(min(300, limit or 300))]
    return Dataset(train, test, SIDE * SIDE)


# -- model -------------------------------------------------------------------------------------------------------


class Model:
    """Softmax regression: for each pixel and each class a weight, for each class a bias."""

    def __init__(self, size: int) -> None:
        self.weights = [array("d", bytes(8 * CLASSES)) for _ in range(size)]
        self.bias = array("d", bytes(8 * CLASSES))

    def probabilities(self, image: Image) -> list[float]:
        """How likely each class is."""
        scores = list(self.bias)
        for pixel, value in zip(image.pixels, image.values, strict=True):
            scores = [score + value * weight for score, weight in zip(scores, self.weights[pixel], strict=True)]
        highest = max(scores)
        powers = [math.exp(score - highest) for score in scores]
        total = sum(powers)
        return [power / total for power in powers]

    def learn(self, image: Image, rate: float) -> float:
        """Take one step down the gradient; answer the loss before it."""
        gradient = self.probabilities(image)
        loss = -math.log(max(gradient[image.label], 1e-12))
        gradient[image.label] -= 1.0
        for pixel, value in zip(image.pixels, image.values, strict=True):
            amount = rate * value
            row = self.weights[pixel]
            self.weights[pixel] = array("d", [w - amount * g for w, g in zip(row, gradient, strict=True)])
        self.bias = array("d", [b - rate * g for b, g in zip(self.bias, gradient, strict=True)])
        return loss

    def accuracy(self, images: Sequence[Image]) -> float:
        """The share of images whose likeliest class is the right one."""
        hits = 0
        for image in images:
            likely = self.probabilities(image)
            hits += likely.index(max(likely)) == image.label
        return hits / len(images)

    def digest(self) -> str:
        """SHA-256 of all weights: equal only when every bit is."""
        total = hashlib.sha256(self.bias.tobytes())
        for row in self.weights:
            total.update(row.tobytes())
        return total.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Python writes a float so that reading it gives the same bits."""
        return {"weights": [list(row) for row in self.weights], "bias": list(self.bias)}

    def load(self, stored: dict[str, Any]) -> None:
        """The reverse of `to_json`."""
        self.weights = [array("d", row) for row in stored["weights"]]
        self.bias = array("d", stored["bias"])


# -- checkpoints, signals, metrics -------------------------------------------------------------------------------


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file so that it is there whole or not at all: under another name first, then renamed."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_checkpoint(path: Path, seed: int, size: int, images: int) -> dict[str, Any]:
    """Read a checkpoint of this training; refuse one that it could not go on from."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        found = (stored["seed"], len(stored["model"]["weights"]), stored["images"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot resume: {path} is not a checkpoint of this script ({error!r})") from error
    if found != (seed, size, images):
        raise DataError(
            f"cannot resume: {path} is of seed {found[0]}, {found[1]} pixels and {found[2]} images, "
            f"this training of seed {seed}, {size} pixels and {images} images"
        )
    return stored


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


def report(step: int, total_steps: int, loss: float, throughput: float) -> None:
    """Add a line to the metrics file, when one was asked for."""
    path = os.environ.get("RUNCTL_METRICS_FILE")
    if path:
        line = {"step": step, "total_steps": total_steps, "loss": round(loss, 6), "throughput": round(throughput, 1)}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


# -- training ----------------------------------------------------------------------------------------------------


def train(options: argparse.Namespace, requests: Requests) -> int:
    """Train, and answer the exit code."""
    data = read_mnist(options.data, options.limit) if options.data else make_digits(options.limit)
    model = Model(data.size)
    steps_an_epoch = math.ceil(len(data.train) / STEP_IMAGES)
    total_steps = options.epochs * steps_an_epoch
    step, epoch_loss = 0, 0.0
    options.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    source = options.data or "this script"
    say(f"data   {len(data.train):,} images to learn, {len(data.test):,} to test, from {source}")
    if options.resume_from:
        stored = read_checkpoint(options.resume_from, options.seed, data.size, len(data.train))
        model.load(stored["model"])
        step, epoch_loss = stored["step"], stored["epoch_loss"]
        say(f"resume {options.resume_from.name}: {step} of {total_steps} steps are done")

    def save() -> None:
        path = options.checkpoint_dir / f"step-{step:06d}.json"
        state = {"seed": options.seed, "images": len(data.train), "step": step, "epoch_loss": epoch_loss}
        write_json(path, {**state, "model": model.to_json()})
        say(f"saved  {path.name}")

    while step < total_steps:
        epoch, first = divmod(step, steps_an_epoch)
        # The order depends on seed and epoch alone, so a resumed epoch goes on in the order in which it began.
        order = random.Random(f"{options.seed}/{epoch}").sample(range(len(data.train)), len(data.train))
        rate = options.rate / (1 + epoch)
        began, learned = time.monotonic(), 0
        for position in range(first, steps_an_epoch):
            if requests.leave:
                save()
                say(f"leave  asked to by SIGTERM after {step} of {total_steps} steps; exit code {EX_TEMPFAIL}")
                return EX_TEMPFAIL
            if requests.save:
                requests.save = False
                save()
            for number in order[position * STEP_IMAGES : (position + 1) * STEP_IMAGES]:
                epoch_loss += model.learn(data.train[number], rate)
                learned += 1
            step += 1
            if step % 10 == 0 or position == steps_an_epoch - 1:
                done = min((position + 1) * STEP_IMAGES, len(data.train))
                report(step, total_steps, epoch_loss / done, learned / (time.monotonic() - began))
        throughput = learned / (time.monotonic() - began)
        loss, accuracy = epoch_loss / len(data.train), model.accuracy(data.test)
        say(
            f"epoch  {epoch + 1}/{options.epochs}  step {step}  loss {loss:.4f}  "
            f"accuracy {accuracy:.1%}  {throughput:,.0f} images/s"
        )
        epoch_loss = 0.0
        save()

    options.output_dir.mkdir(parents=True, exist_ok=True)
    write_json(options.output_dir / "model.json", model.to_json())
    say(f"done   accuracy {model.accuracy(data.test):.1%}  weights sha256 {model.digest()}")
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
    parser = argparse.ArgumentParser(description="Train a handwritten-digit classifier with nothing but Python.")
    parser.add_argument("--epochs", type=positive, default=3, help="times to go through the images (default: 3)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of MNIST's IDX files (default: made-up digits)"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="use the first N images only")
    parser.add_argument("--rate", type=float, default=0.05, help="learning rate of the first epoch (default: 0.05)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order of images (default: 0)")
    parser.add_argument("--checkpoint-dir", type=Path, default=folder_from("RUNCTL_CHECKPOINT_DIR", "checkpoints"))
    parser.add_argument("--output-dir", type=Path, default=folder_from("RUNCTL_OUTPUT_DIR", "output"))
    parser.add_argument("--resume-from", type=Path, metavar="FILE", default=os.environ.get("RUNCTL_RESUME_FROM"))
    return parser.parse_args()


def main() -> int:
    """Run the script."""
    requests = Requests()  # first of all: a signal must never meet a process that does not listen yet
    options = parse_arguments()
    try:
        exit_code = train(options, requests)
    except DataError as error:
        print(f"error  {error}", file=sys.stderr)
        exit_code = 1
    requests.close()
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
