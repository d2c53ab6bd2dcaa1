"""A story: a seed, the world that it draws, what happens in it, and whether every promise was kept."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from runctl.model import keys
from runctl.model.ids import RunId
from runctl.model.names import Function
from runctl.model.run import CodeRef, PurchaseOption, Run, RunSpec
from runctl.model.status import Reason
from runctl.model.stop import StopCommand
from tests.chaos.cloud import Cloud
from tests.chaos.ec2 import NO_CAPACITY
from tests.chaos.faults import CALM_AFTER_S, Weather, draw
from tests.chaos.functions import FunctionFailed
from tests.chaos.loop import Loop
from tests.chaos.machine import SHA256
from tests.chaos.script import Script
from tests.chaos.truth import Ledger, RunTruth, Violation
from tests.chaos.watch import Watch

HORIZON_S: Final = 40 * 3_600.0
"""By then every run must have ended: faults end after four hours, and no run of a story is longer than three."""

SETTLED_AFTER_S: Final = 3 * 3_600.0
"""How much longer the world goes on when all runs have ended: late events come, and the reaper looks again."""

RUNS_WITH_LIMIT: Final = 0.3
"""Share of the runs that name what they may cost at most: at a spot machine's price 5, 20 or 60 minutes."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True)
class Result:
    """What became of a story."""

    seed: int
    runs: int
    machines: int
    invocations: int
    reasons: tuple[Reason | None, ...]
    faults: str
    violation: str = ""
    tale: str = ""


def tell(seed: int, *, readable: bool = False) -> Result:
    """Let a seed's story happen. With `readable` its tale is kept. Call it where the handlers are quiet."""
    return Story(seed, readable=readable).happen()


class Story:
    """One world and its runs."""

    def __init__(self, seed: int, *, readable: bool = False) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.loop = Loop()
        self.weather = Weather(draw(self.chance), self.chance)
        self.ledger = Ledger(lines=[] if readable else None, now=lambda: self.loop.now)
        self.cloud = Cloud(self.loop, self.weather, self.ledger)
        self.watch = Watch(self.cloud, self.loop, self.ledger)
        self._planned = 0

    def happen(self) -> Result:
        """Let everything happen until it is at rest."""
        violation = ""
        try:
            self._begin()
            self._go_on()
            self.watch.at_rest()
        except Violation as broken:
            violation = str(broken)
            self.ledger.tell("VIOLATION", "{}", violation)
        runs = [self.cloud.runs.peek(run_id) for run_id in self.ledger.runs]
        return Result(
            seed=self.seed,
            runs=len(self.ledger.runs),
            machines=len(self.ledger.machines),
            invocations=self.cloud.runtime.invocations,
            reasons=tuple(run.reason for run in runs if run is not None),
            faults=self.weather.told(),
            violation=violation,
            tale=self.ledger.readable(),
        )

    def _begin(self) -> None:
        chance, faults = self.chance, self.weather.faults
        self.ledger.tell("seed", "{}: {}", self.seed, self.weather.told())
        if faults.small_quota:
            self.cloud.machines.quota = 1
        if faults.no_capacity:
            for _ in range(chance.randint(1, 4)):
                begins = chance.uniform(0, 3_600)
                lasts = chance.choice((20.0, 120.0, 900.0, 9_000.0))
                missing = chance.choice((None, "t3.micro", "m5.large"))
                self.cloud.machines.shortages.append((begins, begins + lasts, missing, chance.choice(NO_CAPACITY)))
        self.loop.after(chance.uniform(0, 900), self.cloud.reap)
        self.loop.after(chance.uniform(0, 900), self.cloud.watch)
        self._planned = chance.choice((1, 1, 1, 2, 3))
        for number in range(self._planned):
            self._submit(number)

    def _go_on(self) -> None:
        settled = 0.0
        while self.loop.now < HORIZON_S:
            if not self.loop.step():
                return
            if not settled and self._has_ended():
                settled = max(self.loop.now, 0.0) + SETTLED_AFTER_S
            if settled and self.loop.now >= settled:
                return

    def _has_ended(self) -> bool:
        runs = self.ledger.runs.values()
        return len(runs) == self._planned and all(truth.ended_at is not None for truth in runs)

    # -- runs and people -----------------------------------------------------------------------------------------

    def _submit(self, number: int) -> None:
        chance, faults, strikes = self.chance, self.weather.faults, self.weather.strikes
        run_id = self._run_id(number)
        at = chance.uniform(0, 600) if number else 0.0
        script = self._script()
        run = self._run(run_id, script, at)
        truth = RunTruth(run_id, at)

        def submit() -> None:
            self.ledger.runs[run_id] = truth
            self.cloud.submit(run, script)
            self.ledger.tell("somebody", "submits {}: {}", run_id, script)
            if strikes("client_dies", self.loop.now):
                truth.started = False
                return
            self.loop.after(chance.uniform(0.5, 30.0), lambda: self.cloud.start(run))

        self.loop.at(at, submit)
        if faults.cancels and chance.random() < 0.7:
            for _ in range(chance.choice((1, 1, 2))):
                self.loop.at(at + chance.uniform(0, 1_500), lambda: self._cancel(truth, chance.random() < 0.3))
        if faults.aborts and chance.random() < faults.aborts:
            self.loop.at(at + chance.uniform(0, 1_500), lambda: self._abort(truth))
        if faults.times_out and chance.random() < faults.times_out:
            self.loop.at(at + chance.uniform(0, 1_500), lambda: self._time_out(truth))

    def _run_id(self, number: int) -> RunId:
        value, text = self.seed * 8 + number, ""
        for _ in range(12):
            value, digit = divmod(value, 32)
            text = _ALPHABET[digit] + text
        return RunId(f"r-{text}")

    def _script(self) -> Script:
        chance = self.chance
        work_s = chance.choice((20, 300, 1_200, 4_000))
        script: dict[str, Any] = {
            "work_s": work_s,
            "save_every_s": chance.choice((60, 300, 5_000)),
            "saves_for_s": chance.choice((0.5, 10.0, 60.0)),
            "uploads_for_s": chance.choice((0.5, 5.0, 20.0)),
            "prepares_for_s": chance.choice((1.0, 20.0, 90.0)),
            "hears_usr1": chance.random() < 0.5,
            "hears_term": chance.random() < 0.8,
        }
        if self.weather.strikes("bad_script", 0.0):
            script |= chance.choice(
                (
                    {"fails_at": chance.randint(1, work_s), "fails_with": chance.choice((1, 2, 137))},
                    {"fails_at": chance.randint(1, work_s), "fails_once": True},
                    {"fails_at": chance.randint(1, work_s), "runs_out_of_memory": True},
                    {"leaves_every_s": chance.choice((30, 200))},
                    {"hangs": True},
                    {"setup_fails": True},
                )
            )
        return Script(**script)

    def _run(self, run_id: RunId, script: Script, at: float) -> Run:
        chance = self.chance
        spec = RunSpec(
            script="train.py",
            code=CodeRef(key=keys.code_key(SHA256), sha256=SHA256, bytes=1_234),
            instance_types=chance.choice((("t3.micro",), ("t3.micro", "m5.large"))),
            purchase_option=PurchaseOption.SPOT if chance.random() < 0.8 else PurchaseOption.ON_DEMAND,
            max_runtime_s=chance.choice((3_600, 9_000)) if not script.hangs else 1_800,
            capacity_timeout_s=chance.choice((60, 1_800, 7_200)),
            retries=chance.choice((0, 0, 1, 3)),
            max_cost_usd=self._max_cost(run_id),
        )
        when = self.loop.time(at)
        return Run(
            run_id=run_id,
            name="digits",
            project="vision",
            user="ada",
            spec=spec,
            created_at=when,
            updated_at=when,
        )

    def _max_cost(self, run_id: RunId) -> Decimal | None:
        """Some runs may spend little. Drawn apart, so that all else of a seed's story is as it was without."""
        chance = random.Random(run_id)
        return Decimal(chance.choice(("0.005", "0.02", "0.06"))) if chance.random() < RUNS_WITH_LIMIT else None

    def _cancel(self, truth: RunTruth, now: bool, tries: int = 3) -> None:
        """Somebody cancels, and again when that was refused."""
        if truth.run_id not in self.ledger.runs:
            return
        truth.cancelled_at.append(self.loop.now)
        self.ledger.tell("somebody", "cancels {}{}", truth.run_id, " now" if now else "")
        command = StopCommand(run_id=truth.run_id, requested_by="ada", now=now)
        try:
            answer = self.cloud.runtime.invoke(Function.STOP_RUN, command.model_dump(mode="json"))
        except FunctionFailed:
            if tries > 1:
                self.loop.after(20, lambda: self._cancel(truth, now, tries - 1))
            return
        if "ended already" not in answer["message"]:
            truth.cancel_heard_at.append(self.loop.now)

    def _abort(self, truth: RunTruth) -> None:
        execution = self.cloud.executions.known.get(truth.run_id)
        if execution is not None and execution.is_running and execution.entered:
            truth.aborted_at = self.loop.now
            self.ledger.tell("somebody", "stops the execution of {}", truth.run_id)
            execution.abort()

    def _time_out(self, truth: RunTruth) -> None:
        execution = self.cloud.executions.known.get(truth.run_id)
        if execution is not None and execution.is_running and execution.entered:
            truth.timed_out_at = self.loop.now
            execution.time_out()


assert HORIZON_S > CALM_AFTER_S
