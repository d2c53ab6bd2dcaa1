"""An attempt as real processes: a guard, a supervisor that may be killed at any moment, and AWS played by a folder.

`python -m tests.agent.supervised guard|supervise FOLDER` is what they run.
"""

import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from runctl.agent.clock import SystemClock
from runctl.agent.course import StartAgainError
from runctl.agent.guard import guard
from runctl.agent.job import read_job
from runctl.agent.keeper import boot_id
from runctl.agent.layout import AttemptFolder
from runctl.agent.leftovers import mark
from runctl.agent.nvml import Gpus
from runctl.agent.object_store import Stored, save_chunks
from runctl.agent.out_of_memory import Memory
from runctl.agent.start import START_AGAIN
from runctl.agent.supervisor import Supervisor
from runctl.agent.training_process import KeptTrainings
from runctl.agent.world import World
from tests.agent.factories import agent_job, project
from tests.agent.fakes import FakeHeartbeats, FakeLinks, FakeMetadata, FakeSecrets, FakeStream

PAUSE_S = 0.05


class FolderStore:
    """A bucket in a folder; an object appears whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, body: bytes) -> None:
        new = self.folder / f".new-{os.getpid()}-{threading.get_ident()}"
        new.write_bytes(body)
        new.replace(self._path(key))

    def put_file(self, key: str, path: Path) -> Stored:
        body = path.read_bytes()
        self.put(key, body)
        return Stored(len(body), sha256(body).hexdigest())

    def get(self, key: str) -> bytes:
        return self._path(key).read_bytes()

    def get_file(
        self, key: str, path: Path, cancelled: Callable[[], bool], stretch: tuple[int, int] | None = None
    ) -> str:
        body = self.get(key)
        begin, end = stretch or (0, len(body))
        return save_chunks([body[begin:end]], path, cancelled)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def names(self) -> list[str]:
        return sorted(unquote(path.name) for path in self.folder.iterdir() if not path.name.startswith(".new-"))

    def _path(self, key: str) -> Path:
        return self.folder / quote(key, safe="")


class LineFile:
    """A file that gets one JSON document a line: the bus, and the stream of the log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, documents: list[Any]) -> None:
        text = "".join(json.dumps(document) + "\n" for document in documents).encode()
        with self._path.open("ab", buffering=0) as file:
            file.write(text)

    def read(self) -> list[Any]:
        return [json.loads(line) for line in self._path.read_text().splitlines()] if self._path.exists() else []


class BusFile:
    """Events."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)

    def put(self, kind: str, detail: str) -> None:
        self._file.append([json.loads(detail)])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self._file.read() if event["kind"] == kind]


class StreamFile:
    """Lines of the log."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)

    def put(self, events: list[tuple[int, str]]) -> int:
        self._file.append(list(events))
        return 0

    def last_ms(self) -> int | None:
        return max((stamp for stamp, _ in self._file.read()), default=None)

    @property
    def lines(self) -> list[str]:
        return [message for _, message in self._file.read()]


class PowerFile:
    """A file that is there when the machine was powered off."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def off(self) -> None:
        self.path.touch()


class Place:
    """Where everything of one attempt lies."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = AttemptFolder(root / "attempt-2")
        self.store = FolderStore(root / "bucket")
        self.bus = BusFile(root / "bus")
        self.stream = StreamFile(root / "stream")
        self.power = PowerFile(root / "off")

    def prepare(self, script: str, **fields: Any) -> None:
        """Hand a job over, as the controller does."""
        code = project({"train.py": script})
        job = agent_job(code, **fields)
        for key, body in code.objects.items():
            self.store.put(key, body)
        self.folder.create()
        self.folder.job.write_text(job.model_dump_json())

    @property
    def supervisor(self) -> int | None:
        """The process id of the supervisor that holds the lock."""
        try:
            pid = int((self.root / "pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    @property
    def checkpoints(self) -> dict[str, list[tuple[str, str]]]:
        """The files of each checkpoint that counts, with their hashes; every one is read."""
        found: dict[str, list[tuple[str, str]]] = {}
        for key in self.store.names():
            if key.endswith("/manifest.json"):
                manifest = json.loads(self.store.get(key))
                for file in manifest["files"]:
                    assert sha256(self.store.get(file["key"])).hexdigest() == file["sha256"]
                found[manifest["name"]] = [(file["path"], file["sha256"]) for file in manifest["files"]]
        return found


def supervise(place: Place) -> int:
    """Be the supervisor, as `runctl.agent.wiring.supervise_attempt` makes it."""
    lock = os.open(place.folder.supervisor_lock, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (place.root / "pid").write_text(str(os.getpid()))
    mark(place.folder)
    going_down = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: going_down.set())
    world = World(
        clock=SystemClock(),
        clock_error_s=lambda: 0.0,
        wait=time.sleep,
        rest=lambda _: None,
        is_going_down=going_down.is_set,
        metadata=FakeMetadata(),
        store=place.store,
        bus=place.bus,
        heartbeats=FakeHeartbeats(),
        stream=place.stream,
        metrics_stream=FakeStream(),
        gpus=Gpus(),
        links=FakeLinks({}),
        secrets=FakeSecrets({}),
        power=place.power,
        trainings=KeptTrainings(),
        boot_id=boot_id,
        memory_kills=lambda: None,
        memory=lambda _: Memory(),
    )
    job = read_job(place.folder.job.read_bytes())
    try:
        Supervisor(job, place.folder, place.root / "tools", world).run()
    except StartAgainError:
        return START_AGAIN
    return 0


def main(what: str, root: str) -> int:
    """One of both processes."""
    place = Place(Path(root))
    if what == "supervise":
        return supervise(place)
    command = [sys.executable, "-m", "tests.agent.supervised", "supervise", root]
    return guard(command, place.power, print, wait=lambda _: time.sleep(PAUSE_S))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
