"""The main job, shown: a training on a spot machine loses it half-way, resumes on another, and learns the same.

`make demo` runs it. It uses nothing but the command line, as a person would, in a project of its own below
`.runctl/demo`; then it looks into the account for what the command line does not tell: the execution's history and the
weights.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from tests.demo.account import Account
from tests.demo.command_line import CommandFailed, CommandLine
from tests.demo.stage import Stage
from tests.demo.verdict import Outcome, RunDocument, claims
from tests.demo.weights import digest_of

REPOSITORY: Final = Path(__file__).parents[2]
FOLDER: Final = REPOSITORY / ".runctl" / "demo"

EPOCHS: Final = 48
INTERRUPT_AT: Final = EPOCHS // 4
TRAINING: Final = (
    *("training/train_digits.py", "--instance-type", "t3.medium", "--spot", "--yes"),
    *("--", "--epochs", str(EPOCHS), "--seed", "7", "--save-every", "4", "--pause-s", "0.2"),
)
"""The pause keeps a training of half a second long enough to be interrupted in its middle."""
NOTICE: Final = "4s"
"""EC2 gives two minutes. The training saves in far less, and the demo need not last as long."""
LIMIT_S: Final = 120.0
LOOK_S: Final = 0.2
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "STOPPED"})


class Demo:
    """One showing, in a folder that holds the project and the result."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._project = folder / "project"
        self._result = folder / "result.json"
        self._runctl = CommandLine(self._project)
        self._began = time.monotonic()

    def run(self, *, keep: bool) -> bool:
        """Show everything; answer whether every claim holds."""
        self._result.unlink(missing_ok=True)
        self._stage.title("runctl demo", "the cloud runs on this machine, the training is real, no account is needed")
        self._lay_project()
        was_up = self._up()
        try:
            outcome = self._play()
        finally:
            if not was_up and not keep:
                self._runctl.ask("local", "down")
        self._result.write_text(json.dumps(outcome.document(), indent=2) + "\n")
        checked = claims(outcome)
        self._stage.comparison(outcome)
        self._stage.claims(checked)
        self._tell_next(outcome, is_up=was_up or keep)
        return all(claim.holds for claim in checked)

    def _play(self) -> Outcome:
        environment = self._runctl.ask("local", "env")
        account = Account(environment)
        self._stage.scene(
            f"1. A spot machine that is taken back after epoch {INTERRUPT_AT} of {EPOCHS}",
            f"runctl train {_words(TRAINING)}",
        )
        interrupted = self._train(self._interrupt_in_the_middle)
        self._stage.scene("2. The same seed, left alone", f"runctl train {_words(TRAINING)}")
        uninterrupted = self._train(lambda _run, _events: True)
        return Outcome(
            interrupted=interrupted,
            uninterrupted=uninterrupted,
            interrupted_transitions=account.transitions(interrupted["execution_arn"]),
            clean_transitions=account.transitions(uninterrupted["execution_arn"]),
            interrupted_weights=_weights(account, interrupted),
            uninterrupted_weights=_weights(account, uninterrupted),
            epochs=EPOCHS,
            seconds=time.monotonic() - self._began,
        )

    def _lay_project(self) -> None:
        """Make the project that a person would have: the training scripts and a configuration."""
        training = self._project / "training"
        self._project.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(training, ignore_errors=True)
        shutil.copytree(REPOSITORY / "training", training, ignore=shutil.ignore_patterns("__pycache__"))
        if not (self._project / ".runctl.toml").exists():
            self._runctl.ask("init")

    def _up(self) -> bool:
        """Start the local target; answer whether it was up before."""
        was_up = cast("bool", self._runctl.ask("local", "status")["is_up"])
        began = time.monotonic()
        self._runctl.ask("local", "up")
        what = "was up already" if was_up else "started, the synthesized template deployed on it"
        self._stage.line(time.monotonic() - began, "local target", what)
        return was_up

    def _train(self, act: Callable[[str, list[dict[str, Any]]], bool]) -> RunDocument:
        """Start a run and tell its timeline until it has ended; `act` is called at each look until it answers True."""
        run_id = cast("str", self._runctl.ask("train", *TRAINING)["run_id"])
        deadline = time.monotonic() + LIMIT_S
        told: set[str] = set()
        acted = False
        run = cast("RunDocument", self._runctl.ask("status", run_id))
        while True:
            events = cast("list[dict[str, Any]]", self._runctl.ask("events", run_id)["events"])
            self._tell(run, events, told)
            if any(event["kind"] == "concluded" for event in events):
                run = cast("RunDocument", self._runctl.ask("status", run_id))
            if run["status"] in ENDED:
                return run
            if time.monotonic() > deadline:
                raise CommandFailed(
                    f"The run {run_id} did not end in {LIMIT_S:.0f} s; see: {self._look_on} && runctl events {run_id}"
                )
            acted = acted or act(run_id, events)
            time.sleep(LOOK_S)

    def _interrupt_in_the_middle(self, run_id: str, events: list[dict[str, Any]]) -> bool:
        """Take the machine back once enough is learned; answer whether that was done."""
        saved = [event["data"].get("step") or 0 for event in events if event["kind"] == "checkpoint_saved"]
        if max(saved, default=0) < INTERRUPT_AT:
            return False
        self._runctl.ask("local", "interrupt", run_id, "--notice", NOTICE)
        self._stage.line(None, "we interrupt", f"runctl local interrupt {run_id} --notice {NOTICE}", "bold magenta")
        return True

    def _tell(self, run: RunDocument, events: list[dict[str, Any]], told: set[str]) -> None:
        """Tell what is new in the timeline; of the many checkpoints only the last before something else."""
        began = datetime.fromisoformat(run["created_at"])
        for position, event in enumerate(events):
            key = f"{event['at']} {event['kind']} {event['text']}"
            following = events[position + 1]["kind"] if position + 1 < len(events) else None
            if key in told or (event["kind"] == "checkpoint_saved" and following in (None, "checkpoint_saved")):
                continue
            told.add(key)
            self._stage.event((datetime.fromisoformat(event["at"]) - began).total_seconds(), event)

    @property
    def _look_on(self) -> str:
        """Where `runctl` is found, and where it finds the demo's project."""
        return f". .venv/bin/activate && cd {_near(self._project)}"

    def _tell_next(self, outcome: Outcome, *, is_up: bool) -> None:
        run_id = outcome.interrupted["run_id"]
        looks = [f"runctl {verb} {run_id if is_up else 'last'}" for verb in ("status", "events", "logs")]
        self._stage.note(f"{outcome.seconds:.0f} s; written to {_near(self._result)}")
        if is_up:
            self._stage.commands("Look on:", [self._look_on, *looks, "runctl local down"])
        else:
            again = [
                self._look_on,
                "runctl local up",
                f"make -C {os.path.relpath(REPOSITORY, self._project)} demo",
                *looks,
                "runctl local down",
            ]
            self._stage.commands(
                "The local target is down again, and its runs with it. To look on, have it up first:", again
            )


def _weights(account: Account, run: RunDocument) -> str:
    found = account.output_file(run["run_id"], "weights.npz")
    return digest_of(found) if found else ""


def _near(path: Path) -> str:
    """Write a path as from the repository's root."""
    return os.path.relpath(path, REPOSITORY)


def _words(arguments: tuple[str, ...]) -> str:
    return " ".join(arguments)


def main() -> int:
    """Give the demo; 0 when everything that it claims is so."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo.run_demo", description="Show the main job.")
    parser.add_argument("--keep", action="store_true", help="leave the local target up")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the project and the result lie")
    options = parser.parse_args()
    stage = Stage()
    try:
        return 0 if Demo(stage, options.folder.absolute()).run(keep=options.keep) else 1
    except CommandFailed as error:
        stage.failure(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
