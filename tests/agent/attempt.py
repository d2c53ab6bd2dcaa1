"""One attempt, whose training is a real process and whose AWS is fakes."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runctl.agent.clock import SystemClock
from runctl.agent.keeper import boot_id
from runctl.agent.layout import AttemptFolder
from runctl.agent.out_of_memory import Memory
from runctl.agent.request_files import Request, leave
from runctl.agent.supervisor import Supervisor
from runctl.agent.training_process import KeptTrainings
from runctl.agent.world import World
from runctl.model.agent_event import TrainingEnded, is_authentic
from tests.agent.factories import PREFIX, SECRET, job, project
from tests.agent.fakes import (
    FakeBus,
    FakeHeartbeats,
    FakeLinks,
    FakeMetadata,
    FakePower,
    FakeSecrets,
    FakeStream,
    MemoryStore,
)


class Attempt:
    """One attempt and all that it meets."""

    def __init__(
        self, root: Path, text: str, *, others: Mapping[str, str] = MappingProxyType({}), **fields: Any
    ) -> None:
        code = project({"train.py": text, **others})
        self.job = job(code, **({"save_limit_s": 5} | fields))
        self.folder = AttemptFolder.of(root, self.job.run_id, self.job.attempt)
        self.folder.create()
        self.store = MemoryStore()
        self.store.objects |= code.objects
        self.bus = FakeBus()
        self.heartbeats = FakeHeartbeats()
        self.stream = FakeStream()
        self.metrics_stream = FakeStream()
        self.metadata = FakeMetadata()
        self.power = FakePower()
        self.links = FakeLinks({})
        self.secrets = FakeSecrets({})
        self.rests: list[float] = []
        self.going_down = threading.Event()
        self.memory_kills = iter([0, 0])
        self.memory = Memory()
        self.count_memory_kills: Callable[[], int | None] = lambda: next(self.memory_kills)
        self.look_at_memory: Callable[[float], Memory] = lambda _: self.memory
        self.boot_id = boot_id()
        self.python_install_s = 0.0
        self.trainings: Any = KeptTrainings()

    def look(self) -> dict[str, float]:
        """A machine with one GPU."""
        return {"gpu0_percent": 97.0}

    def supervisor(self) -> Supervisor:
        world = World(
            clock=SystemClock(),
            clock_error_s=lambda: 0.0,
            wait=time.sleep,
            rest=self.rests.append,
            is_going_down=self.going_down.is_set,
            metadata=self.metadata,
            store=self.store,
            bus=self.bus,
            heartbeats=self.heartbeats,
            stream=self.stream,
            metrics_stream=self.metrics_stream,
            gpus=self,
            links=self.links,
            secrets=self.secrets,
            power=self.power,
            trainings=self.trainings,
            python_install_s=self.python_install_s,
            boot_id=lambda: self.boot_id,
            memory_kills=self.count_memory_kills,
            memory=self.look_at_memory,
        )
        return Supervisor(self.job, self.folder, self.folder.path / "tools", world)

    def run(self) -> TrainingEnded:
        """Run it to its end, and check what holds at every end."""
        self.supervisor().run()
        event = self.bus.of("Training Ended")[-1]
        assert is_authentic(event, SECRET)
        assert self.store.document(f"{PREFIX}final.json") == event
        assert self.power.is_off
        return TrainingEnded.model_validate(event["data"])

    def when_training(self, action: Any) -> None:
        """Do something, from outside, once the training runs."""
        self.when_said("training", action)

    def when_said(self, word: str, action: Any) -> None:
        """Do something, from outside, once a word stands in the log."""
        self._when(lambda: any(word in log.read_text() for log in self.folder.path.glob("training-*.log")), action)

    def when_uploaded(self, name: str, action: Any) -> None:
        """Do something, from outside, once a checkpoint is uploaded and told."""
        self._when(lambda: any(event["data"]["name"] == name for event in self.bus.of("Checkpoint Saved")), action)

    def _when(self, claim: Callable[[], bool], action: Any) -> None:
        def wait() -> None:
            limit = time.monotonic() + 10
            while time.monotonic() < limit:
                if claim():
                    action()
                    return
                time.sleep(0.02)

        threading.Thread(target=wait, daemon=True).start()

    def warn(self, seconds: float) -> None:
        """Let EC2 announce the machine's end."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        self.metadata.items["spot/instance-action"] = json.dumps({"action": "terminate", "time": at})

    def ask(self, request: Request) -> None:
        """Leave a request as the agent's commands do."""
        leave(self.folder.requests, request)

    @property
    def log(self) -> str:
        return "\n".join(self.stream.lines)
