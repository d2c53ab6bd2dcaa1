"""What goes on beside a training, by a clock that is moved: all of the supervisor's parts, and fakes around them."""

import threading
from pathlib import Path
from typing import Any

from runctl.agent.ending import Act, Order
from runctl.agent.layout import AttemptFolder
from runctl.agent.nvml import Gpus
from runctl.agent.out_of_memory import Memory
from runctl.agent.parts import Parts
from runctl.agent.training_process import KeptTrainings
from runctl.agent.world import World
from tests.agent.factories import job
from tests.agent.fakes import (
    FakeBus,
    FakeClock,
    FakeHeartbeats,
    FakeLinks,
    FakeMetadata,
    FakePower,
    FakeSecrets,
    FakeStream,
    FakeTraining,
    MemoryStore,
)


class Beside:
    """Steps what the supervisor's threads step, a tick at a time."""

    def __init__(self, root: Path, **fields: Any) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore()
        self.bus = FakeBus()
        self.stream = FakeStream()
        self.heartbeats = FakeHeartbeats()
        self.metadata = FakeMetadata()
        self.clock_error_s = 0.0
        self.training = FakeTraining()
        self.folder = AttemptFolder(root / "attempt-2")
        self.folder.create()
        world = World(
            clock=self.clock,
            clock_error_s=lambda: self.clock_error_s,
            wait=lambda _: None,
            rest=self.clock.advance,
            is_going_down=threading.Event().is_set,
            metadata=self.metadata,
            store=self.store,
            bus=self.bus,
            heartbeats=self.heartbeats,
            stream=self.stream,
            metrics_stream=FakeStream(),
            gpus=Gpus(),
            links=FakeLinks({}),
            secrets=FakeSecrets({}),
            power=FakePower(),
            trainings=KeptTrainings(),
            boot_id=lambda: "boot",
            memory_kills=lambda: None,
            memory=lambda _: Memory(),
        )
        self.job = job(**fields)
        self.parts = Parts(self.job, self.folder, root / "tools", world)
        self.parts.lookout.training_began(self.clock.monotonic(), self.job.max_runtime_s)

    def tick(self, seconds: float) -> Order:
        """Let time pass, and then everything have its turn; answers what the training was told."""
        self.clock.advance(seconds)
        parts = self.parts
        parts.heartbeat.step()
        parts.look_at_the_clock()
        parts.telling.step()
        parts.shipper.step()
        parts.notices.step()
        parts.uploader.step()
        parts.deadline.step()
        order = parts.lookout.look(hears_usr1=False, upload_s=parts.uploader.times.expected_s(self.clock.monotonic()))
        parts.lookout.obey(order, self.training)
        return order

    def ticks(self, total_s: float, each_s: float) -> set[Act]:
        """Let much time pass; answers all that the training was told."""
        return {self.tick(each_s).act for _ in range(round(total_s / each_s))}

    def print(self, line: str) -> None:
        """Let the training print a line."""
        with self.parts.log.open() as file:
            file.write(f"{line}\n".encode())

    def save(self, step: int) -> None:
        """Let the training save a checkpoint."""
        new = self.folder.checkpoints / f"step-{step}.pt.tmp"
        new.write_text(f"weights {step}")
        new.rename(self.folder.checkpoints / f"step-{step}.pt")

    @property
    def printed(self) -> list[str]:
        """The training's lines as they got to CloudWatch."""
        return [line for line in self.stream.lines if not line.startswith("runctl: ")]

    @property
    def warnings(self) -> list[str]:
        """What the controller was warned of."""
        said: list[str] = []
        for event in self.bus.events:
            progress = event["data"] if event["kind"] == "Progress" else event["data"].get("progress") or {}
            said += progress.get("warnings", [])
        return said

    @property
    def checkpoints(self) -> list[int]:
        """The steps of the checkpoints that count."""
        keys = [key for key in self.store.objects if key.endswith("/manifest.json")]
        return sorted(self.store.document(key)["step"] for key in keys)
