#!/usr/bin/env python3
"""Train a small convolutional network with PyTorch, and resume exact to the bit.

    pip install torch
    python training/train_torch.py --epochs 5
    runctl train training/train_torch.py --setup "pip install torch" --spot -- --epochs 5

The images are made up: bars that lie, stand or lean, in noise. What matters is what a checkpoint holds, for all of it
decides how the training goes on: the weights, the optimizer's moments, the schedule of the learning rate, the state of
each random generator (dropout draws from PyTorch's own, the order of the images from another), and the place in the
epoch. A training that was interrupted and resumed therefore ends with the same weights, bit for bit, as one that was
not: compare the hash on the last line.

SIGTERM: save, exit with 75 ("come back later"). SIGUSR1: save, go on.
"""

# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedBaseClass=false

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

# Sums on a GPU are only repeatable with this, and only when it is set before CUDA begins (PyTorch, "Reproducibility").
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
from torch import Tensor, nn

EX_TEMPFAIL = 75
SIDE = 16
CLASSES = 3
BATCH = 32


class CannotResume(Exception):
    """The checkpoint is not one that this training could go on from."""


def make_images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Make images of bars, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    images = torch.randn(count, 1, SIDE, SIDE, generator=generator) * 0.5
    places = torch.randint(2, SIDE - 2, (count,), generator=generator)
    for image, label, place in zip(images, labels.tolist(), places.tolist(), strict=True):
        if label == 0:
            image[0, place, :] += 1
        elif label == 1:
            image[0, :, place] += 1
        else:
            image[0] += torch.diag(torch.ones(SIDE - abs(place - SIDE // 2)), place - SIDE // 2)
    return images, labels


def make_network() -> nn.Sequential:
    """Draw a small network with dropout, which draws random numbers at every step."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(16 * 4 * 4, CLASSES),
    )


class Training:
    """All that changes while training: what is here is saved, and what is saved is here."""

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.device = device
        self.network = make_network().to(device)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=options.rate)
        self.images, self.labels = make_images(options.images, options.seed)
        self.steps_per_epoch = -(-len(self.images) // BATCH)
        self.total_steps = options.epochs * self.steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=self.total_steps)
        self.order_generator = torch.Generator().manual_seed(options.seed + 1)
        self.order = self.new_order()
        self.step = 0

    def new_order(self) -> Tensor:
        """Draw the order of the images for an epoch."""
        return torch.randperm(len(self.images), generator=self.order_generator)

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on."""
        return {
            "version": 1,
            "options": {"images": self.options.images, "seed": self.options.seed, "epochs": self.options.epochs},
            "step": self.step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "order": self.order,
            "order_generator": self.order_generator.get_state(),
            "generator": torch.get_rng_state(),
            "cuda_generators": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def restore(self, path: Path) -> None:
        """The reverse of `state`. Raises CannotResume."""
        # weights_only reads tensors and plain values, and runs no code that a file may hold. The random generators'
        # states belong to the CPU; the modules move their own tensors to the device.
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state.get("version") != 1:
            raise CannotResume(f"{path.name} is of version {state.get('version')}, not 1")
        if state["options"] != self.state()["options"]:
            raise CannotResume(f"{path.name} is of a training with {state['options']}")
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.order = state["order"]
        self.order_generator.set_state(state["order_generator"])
        torch.set_rng_state(state["generator"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_generators"])

    def learn(self) -> float:
        """Take one step; answer the loss."""
        start = self.step % self.steps_per_epoch * BATCH
        if start == 0 and self.step > 0:
            self.order = self.new_order()
        chosen = self.order[start : start + BATCH]
        self.network.train()
        answers = self.network(self.images[chosen].to(self.device))
        loss = nn.functional.cross_entropy(answers, self.labels[chosen].to(self.device))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return float(loss)

    def accuracy(self) -> float:
        """Share of images that were never learned and are recognized."""
        images, labels = make_images(300, self.options.seed + 2)
        self.network.eval()
        with torch.no_grad():
            answers = self.network(images.to(self.device)).argmax(dim=1).cpu()
        return float((answers == labels).float().mean())

    def fingerprint(self) -> str:
        """Hash of all weights."""
        digest = hashlib.sha256()
        for name, values in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(bytes(values.cpu().contiguous().view(torch.uint8).flatten().tolist()))
        return digest.hexdigest()


class Requests:
    """What was asked for by signal. A handler only takes a note; the loop acts on it between two steps."""

    def __init__(self) -> None:
        self.save = False
        self.leave = False
        signal.signal(signal.SIGUSR1, self._on_save)
        signal.signal(signal.SIGTERM, self._on_leave)

    def close(self) -> None:
        """Listen no more: a SIGTERM while Python ends must not undo a success."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _on_save(self, *_: object) -> None:
        self.save = True

    def _on_leave(self, *_: object) -> None:
        self.leave = True


def save_whole(path: Path, content: dict[str, Any]) -> None:
    """Write under another name, then rename: nobody ever sees half a file."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def folder(variable: str, default: str) -> Path:
    """Name a folder that the environment gives, and make sure of it."""
    path = Path(os.environ.get(variable) or default)
    path.mkdir(parents=True, exist_ok=True)
    return path


def report(**figures: float) -> None:
    """Add a line to the metrics file."""
    path = os.environ.get("RUNCTL_METRICS_FILE")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Teach a network to tell bars apart.")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1_200)
    parser.add_argument("--rate", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=20, metavar="STEPS")
    parser.add_argument("--pause-s", type=float, default=0.0, help="sleep after each step, to watch it")
    return parser.parse_args()


def main() -> int:
    """Train, and answer the exit code."""
    requests = Requests()
    options = parse_arguments()
    checkpoints = folder("RUNCTL_CHECKPOINT_DIR", "checkpoints")
    outputs = folder("RUNCTL_OUTPUT_DIR", "output")
    torch.use_deterministic_algorithms(True)  # an operation that cannot be repeated to the bit is an error
    torch.backends.cudnn.benchmark = False
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)  # sums are then added up in the same order on every machine
    training = Training(options, device)
    resume_from = os.environ.get("RUNCTL_RESUME_FROM")
    if resume_from:
        try:
            training.restore(Path(resume_from))
        except CannotResume as error:
            print(error, file=sys.stderr)
            return 1
        print(f"resuming at step {training.step}", flush=True)

    def save() -> None:
        save_whole(checkpoints / f"step-{training.step:06d}.pt", training.state())
        print(f"saved step {training.step}", flush=True)

    began, first = time.monotonic(), training.step
    while training.step < training.total_steps:
        loss = training.learn()
        time.sleep(options.pause_s)
        if training.step % 10 == 0 or training.step == training.total_steps:
            rate = BATCH * (training.step - first) / (time.monotonic() - began)
            report(step=training.step, total_steps=training.total_steps, loss=loss, throughput=rate)
            print(f"step {training.step}/{training.total_steps}  loss {loss:.5f}", flush=True)
        if requests.leave and training.step < training.total_steps:
            save()
            requests.close()
            return EX_TEMPFAIL
        if requests.save or training.step % options.save_every == 0 or training.step == training.total_steps:
            requests.save = False
            save()

    save_whole(outputs / "weights.pt", training.network.state_dict())
    requests.close()
    print(f"done   accuracy {100 * training.accuracy():.1f}%   weights sha256 {training.fingerprint()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
