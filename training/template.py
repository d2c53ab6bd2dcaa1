#!/usr/bin/env python3
"""A training script to start from. Replace what is marked "yours"; keep the rest.

    python training/template.py --steps 2000                          # by hand: nothing else is needed
    runctl train training/template.py --spot -- --steps 2000          # on a machine of its own

What a script has to do so that an interruption costs it seconds, in the order of this file:

1. take arguments, so that a run is described by its command line
2. write a checkpoint whole or not at all
3. put everything into it that the rest of the training depends on, the random generator too
4. resume from the checkpoint that RUNCTL_RESUME_FROM names
5. on SIGTERM save and exit with 75; on SIGUSR1 save and go on
6. write figures to RUNCTL_METRICS_FILE, one JSON object a line

It need not write its exit code, nor a marker when it is done: the machine's agent records both.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

# The exit code that says "saved, resume me" (EX_TEMPFAIL of sysexits.h). 0 says done; all others say failed.
EX_TEMPFAIL = 75

# 1. Arguments ----------------------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    """Read the command line. The folders come from the environment; by hand they lie in the working folder."""
    parser = argparse.ArgumentParser(description="Fit a line to noisy points.")
    parser.add_argument("--steps", type=int, default=2_000)  # yours
    parser.add_argument("--rate", type=float, default=0.01)  # yours
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--pause-s", type=float, default=0.0, help="sleep after each step, to watch it")
    return parser.parse_args()


def folder(variable: str, default: str) -> Path:
    """Name a folder that the environment gives, and make sure of it."""
    path = Path(os.environ.get(variable) or default)
    path.mkdir(parents=True, exist_ok=True)
    return path


# 2. A checkpoint is there whole or not at all -----------------------------------------------------------------------


def write_whole(path: Path, content: dict[str, Any]) -> None:
    """Write under another name, then rename: a rename is one step, so no reader ever sees half a file.

    Names that end in .tmp are not taken for checkpoints. With PyTorch: torch.save(state, temporary), then the same
    replace(). A checkpoint of several files is a folder, written as NAME.tmp/ and renamed when all of it is there.
    """
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# 3. and 4. What a checkpoint holds ----------------------------------------------------------------------------------


class Training:
    """All that changes while training: what is here is saved, and what is saved is here."""

    def __init__(self, seed: int) -> None:
        self.step = 0
        self.generator = random.Random(seed)
        self.slope, self.offset = 0.0, 0.0  # yours: the model's weights
        self.velocity = [0.0, 0.0]  # yours: the optimizer's state

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on."""
        return {
            "step": self.step,
            "generator": self.generator.getstate(),
            "weights": [self.slope, self.offset],
            "velocity": self.velocity,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The reverse of `state`."""
        self.step = state["step"]
        version, numbers, gauss = state["generator"]
        self.generator.setstate((version, tuple(numbers), gauss))
        self.slope, self.offset = state["weights"]
        self.velocity = state["velocity"]

    def learn(self, rate: float) -> float:
        """Yours: take one step of training; answer the loss."""
        x = self.generator.uniform(-1, 1)
        y = 3 * x + 2 + self.generator.gauss(0, 0.1)
        error = self.slope * x + self.offset - y
        self.velocity = [0.9 * self.velocity[0] - rate * error * x, 0.9 * self.velocity[1] - rate * error]
        self.slope += self.velocity[0]
        self.offset += self.velocity[1]
        self.step += 1
        return error * error


# 5. Signals ---------------------------------------------------------------------------------------------------------


class Requests:
    """What was asked for by signal. A handler only takes a note; the loop acts on it between two steps.

    SIGUSR1 comes first when EC2 takes the machine back, SIGTERM when time is short. A script that leaves SIGUSR1 alone
    is sent SIGTERM at once.
    """

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


# 6. Metrics ---------------------------------------------------------------------------------------------------------


def report(**figures: float) -> None:
    """Add a line: step, total_steps, loss and throughput are shown by `runctl status`, all others are kept too."""
    path = os.environ.get("RUNCTL_METRICS_FILE")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")


# The loop -----------------------------------------------------------------------------------------------------------


def main() -> int:
    """Train, and answer the exit code."""
    requests = Requests()  # before anything slow: a signal must not meet a process that does not listen yet
    options = parse_arguments()
    checkpoints = folder("RUNCTL_CHECKPOINT_DIR", "checkpoints")
    outputs = folder("RUNCTL_OUTPUT_DIR", "output")
    training = Training(options.seed)

    resume_from = os.environ.get("RUNCTL_RESUME_FROM")  # the newest whole checkpoint, or not set
    if resume_from:
        training.restore(json.loads(Path(resume_from).read_text(encoding="utf-8")))
        print(f"resuming at step {training.step}", flush=True)

    def save() -> None:
        # The last number in the name is taken for the step.
        write_whole(checkpoints / f"step-{training.step:06d}.json", training.state())
        print(f"saved step {training.step}", flush=True)

    began, first = time.monotonic(), training.step
    while training.step < options.steps:
        loss = training.learn(options.rate)
        time.sleep(options.pause_s)
        if training.step % 100 == 0:
            throughput = (training.step - first) / (time.monotonic() - began)
            report(step=training.step, total_steps=options.steps, loss=loss, throughput=throughput)
            print(f"step {training.step}/{options.steps}  loss {loss:.5f}", flush=True)
        if requests.leave and training.step < options.steps:
            save()
            requests.close()
            return EX_TEMPFAIL
        if requests.save or training.step % options.save_every == 0 or training.step == options.steps:
            requests.save = False
            save()

    # Yours: what the run was for. All files in this folder are kept with the run.
    write_whole(outputs / "model.json", {"slope": training.slope, "offset": training.offset})
    requests.close()
    print(f"done: y = {training.slope:.3f} x + {training.offset:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
