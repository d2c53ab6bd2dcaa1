"""A deployment in memory: what the client and the command line are tested against."""

import gzip
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from runctl.aws.code_objects import StoredObject
from runctl.aws.results import LeftHistory, Output
from runctl.aws.sessions import Session
from runctl.aws.subscriptions import Subscription
from runctl.aws.training_log import LogLine, LogPage
from runctl.client.client import Client
from runctl.client.place import Place
from runctl.errors import InvalidSpec, RunctlError, StaleWriteError
from runctl.model import keys
from runctl.model.attempt import Attempt
from runctl.model.checkpoint import CheckpointFile, Manifest
from runctl.model.code import CodeFile, CodeListing, CodePack
from runctl.model.dead_letter import DeadLetter
from runctl.model.decision import ExecutionInput
from runctl.model.figures import Figures
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.machine import Accelerator, MachineState, MachineType, MachineView
from runctl.model.names import Tag
from runctl.model.price import Price, PriceSource, PriceStep, Spending
from runctl.model.run import CodeRef, PurchaseOption, Run, RunSpec
from runctl.model.status import RunStatus
from runctl.model.stop import StopAnswer, StopCommand
from runctl.model.sweep import Sweep, SweepRequest
from runctl.model.timeline import TimelineEvent
from runctl.policy.resume import manifest_key
from tests.fakes.budgets import InMemoryBudgets

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
STATE_MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:runctl"

PRICES = {"t3.micro": "0.0104", "t3.medium": "0.0416", "g5.xlarge": "1.006", "m7g.large": "0.0816", "x9.huge": None}
OFFERED = (
    MachineType(name="t3.medium", architecture="x86_64", vcpus=2, memory_mib=4_096),
    MachineType(name="x9.huge", architecture="x86_64", vcpus=64, memory_mib=262_144),
    MachineType(
        name="g5.xlarge",
        architecture="x86_64",
        accelerator=Accelerator.NVIDIA,
        vcpus=4,
        memory_mib=16_384,
        gpus=1,
        gpu_name="A10G",
        gpu_memory_mib=24_576,
    ),
)
"""What a need may be met by."""


@dataclass
class MemoryRuns:
    """The runs table."""

    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    attempts_of: dict[str, list[Attempt]] = field(default_factory=dict[str, list[Attempt]])
    timeline: list[TimelineEvent] = field(default_factory=list[TimelineEvent])
    reads: int = 0
    """How often a run was read."""
    on_create: Callable[[Run], object] = lambda _: None
    """What comes of a run as soon as it is written."""
    script: list[Run | RunctlError] = field(default_factory=list[Run | RunctlError])
    """What becomes of the run, read after read."""

    def run(self, run_id: RunId) -> Run | None:
        self.reads += 1
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, RunctlError):
                raise step
            self.runs[step.run_id] = step
        return self.runs.get(run_id)

    def attempts(self, run_id: RunId) -> tuple[Attempt, ...]:
        return tuple(self.attempts_of.get(run_id, []))

    def events(self, run_id: RunId) -> tuple[TimelineEvent, ...]:
        return tuple(event for event in self.timeline if event.run_id == run_id)

    def attempt_of_machine(self, instance_id: InstanceId) -> tuple[RunId, AttemptNumber] | None:
        found = [
            (RunId(run_id), attempt.number)
            for run_id, attempts in self.attempts_of.items()
            for attempt in attempts
            if attempt.instance_id == instance_id
        ]
        return max(found, default=None)

    def runs_of_project(self, project: str, limit: int, user: str | None = None) -> tuple[Run, ...]:
        mine = [run for run in self.runs.values() if run.project == project and user in (None, run.user)]
        return tuple(sorted(mine, key=lambda run: run.created_at, reverse=True)[:limit])

    def open_runs(self) -> Iterator[Run]:
        return (run for run in self.runs.values() if not run.status.is_terminal)

    def unsettled_attempts(self) -> Iterator[Attempt]:
        for attempts in self.attempts_of.values():
            yield from (attempt for attempt in attempts if attempt.is_unsettled)

    def create_run(self, run: Run, events: Sequence[TimelineEvent] = ()) -> None:
        if run.run_id in self.runs:
            raise StaleWriteError("taken")
        self.runs[run.run_id] = run
        self.timeline.extend(events)
        self.on_create(run)

    def save_run(self, run: Run, events: Sequence[TimelineEvent] = ()) -> Run:
        if self.runs[run.run_id].version != run.version:
            raise StaleWriteError("changed")
        self.runs[run.run_id] = run.model_copy(update={"version": run.version + 1})
        self.timeline.extend(events)
        return self.runs[run.run_id]


@dataclass
class MemoryExecutions:
    """Step Functions."""

    started: dict[str, ExecutionInput] = field(default_factory=dict[str, ExecutionInput])
    refusal: RunctlError | None = None

    def start(self, run_id: RunId, execution_input: ExecutionInput) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.started[run_id] = execution_input
        return f"{STATE_MACHINE.replace(':stateMachine:', ':execution:')}:{run_id}"


@dataclass
class MemoryCode:
    """The bucket's `code/` prefix."""

    name: str = "runctl-bucket"
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    written_at: dict[str, datetime] = field(default_factory=dict[str, datetime])
    now: datetime = NOW
    written: list[str] = field(default_factory=list[str])
    looks: list[str] = field(default_factory=list[str])
    renewed: list[str] = field(default_factory=list[str])
    refusal: RunctlError | None = None

    def look(self, key: str) -> StoredObject | None:
        self.looks.append(key)
        body = self.objects.get(key)
        return None if body is None else StoredObject(len(body), self.written_at[key], sha256_of(body).hex())

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def put(self, key: str, body: bytes, sha256: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        assert sha256_of(body) == sha256
        self.objects[key] = body
        self.written_at[key] = self.now
        self.written.append(key)

    def upload(self, key: str, path: Path, on_bytes: Callable[[int], None]) -> None:
        body = path.read_bytes()
        on_bytes(len(body))
        self.put(key, body, sha256_of(body))

    def renew(self, key: str) -> None:
        self.written_at[key] = self.now
        self.renewed.append(key)

    def remove(self, key: str) -> None:
        del self.objects[key]

    def keep(self, files: Mapping[str, bytes]) -> CodeRef:
        """Put a project there, as it was sent once."""
        rows: list[CodeFile] = []
        pack = b"".join(files.values())
        offset = 0
        for path, body in files.items():
            rows.append(CodeFile(path, sha256_of(body).hex(), len(body), False, 0, offset, len(body), False))
            offset += len(body)
        key = keys.pack_key(sha256_of(pack).hex())
        self.put(key, pack, sha256_of(pack))
        listing = CodeListing(packs=(CodePack(key, len(pack)),), files=tuple(rows))
        body = gzip.compress(listing.model_dump_json().encode(), mtime=0)
        digest = sha256_of(body).hex()
        self.put(keys.code_key(digest), body, sha256_of(body))
        self.written.clear()
        return CodeRef(key=keys.code_key(digest), sha256=digest, bytes=len(body))

    def project(self, code: CodeRef) -> dict[str, bytes]:
        """Read a project back, as a machine does."""
        listing = self.listing(code)
        files = self._files(listing)
        if listing.base is not None:
            gone = set(listing.removed)
            base = self._files(self.listing(listing.base))
            files = {path: body for path, body in base.items() if path not in gone} | files
        return files

    def listing(self, code: CodeRef) -> CodeListing:
        """Read a listing."""
        body = self.objects[code.key]
        assert sha256_of(body).hex() == code.sha256
        return CodeListing.model_validate_json(gzip.decompress(body))

    def _files(self, listing: CodeListing) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        for file in listing.files:
            pack = self.objects[listing.packs[file.pack].key]
            stored = pack[file.offset : file.offset + file.stored_bytes]
            files[file.path] = zlib.decompress(stored) if file.is_compressed else stored
            assert sha256_of(files[file.path]).hex() == file.sha256
        return files


def sha256_of(body: bytes) -> bytes:
    """The digest."""
    return sha256(body).digest()


@dataclass
class MemoryStopper:
    """The function `stop_run`."""

    commands: list[StopCommand] = field(default_factory=list[StopCommand])
    refused: dict[str, RunctlError] = field(default_factory=dict[str, RunctlError])
    end: Callable[[StopCommand], None] = lambda _command: None
    """What becomes of the run."""

    def stop(self, command: StopCommand) -> StopAnswer:
        if command.run_id in self.refused:
            raise self.refused[command.run_id]
        self.commands.append(command)
        self.end(command)
        return StopAnswer(run_id=command.run_id, status=RunStatus.STOPPING, message="The run saves and ends.")


@dataclass
class MemoryReaper:
    """The function `reap_machines`: answers what it was given to."""

    sweeps: list[Sweep] = field(default_factory=list[Sweep])
    requests: list[SweepRequest] = field(default_factory=list[SweepRequest])

    def sweep(self, request: SweepRequest) -> Sweep:
        self.requests.append(request)
        return self.sweeps.pop(0) if self.sweeps else Sweep(at=NOW, dry_run=request.dry_run)


@dataclass
class MemoryLetters:
    """The dead-letter queue."""

    lying: dict[str, DeadLetter] = field(default_factory=dict[str, DeadLetter])
    delivered: list[str] = field(default_factory=list[str])
    refused: dict[str, RunctlError] = field(default_factory=dict[str, RunctlError])
    held: set[str] = field(default_factory=set[str])

    def letters(self) -> tuple[DeadLetter, ...]:
        return tuple(sorted(self.lying.values(), key=lambda letter: letter.put_away_at))

    def send_again(self, wanted: Collection[str]) -> Iterator[tuple[DeadLetter, RunctlError | None]]:
        for letter in self.letters():
            if letter.message_id not in wanted or letter.message_id in self.held:
                continue
            fault = self.refused.get(letter.message_id)
            if fault is None:
                self.delivered.append(letter.message_id)
                del self.lying[letter.message_id]
            yield letter, fault


@dataclass
class MemorySessions:
    """Session Manager."""

    begun: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    ended: list[str] = field(default_factory=list[str])

    def shell(self, instance_id: InstanceId) -> Session:
        return self._begin({"Target": instance_id}, instance_id)

    def forwarding(self, instance_id: InstanceId, local_port: int, remote_port: int) -> Session:
        return self._begin({"Target": instance_id}, instance_id, str(local_port), str(remote_port))

    def end(self, session_id: str) -> None:
        self.ended.append(session_id)

    def _begin(self, request: dict[str, Any], *what: str) -> Session:
        self.begun.append(what)
        response = {"SessionId": f"ada-{len(self.begun)}", "TokenValue": "token", "StreamUrl": "wss://stream"}
        return Session(response, request, "us-east-1", "https://ssm.us-east-1.amazonaws.com")


@dataclass
class MemoryMachines:
    """EC2's machines, and what SSM says of them."""

    views: dict[str, MachineView] = field(default_factory=dict[str, MachineView])
    online: set[str] = field(default_factory=set[str])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, instance_id: str, state: MachineState = MachineState.RUNNING, **fields: Any) -> MachineView:
        """A machine that the run of `an_attempt` launched."""
        tags = {Tag.RUN.value: fields.pop("run_id", "r-nobody")}
        usual = {"instance_type": "t3.micro", "availability_zone": "us-east-1a", "launched_at": NOW, "tags": tags}
        view = MachineView(instance_id=InstanceId(instance_id), state=state, **(usual | fields))
        self.views[instance_id] = view
        return view

    def put(self, *views: MachineView) -> None:
        """Machines as EC2 shows them."""
        self.views.update({view.instance_id: view for view in views})

    def machine(self, instance_id: InstanceId) -> MachineView | None:
        return self.views.get(instance_id)

    def tagged_machines(self) -> Iterator[MachineView]:
        return (view for view in self.views.values() if not view.state.is_final and Tag.RUN in view.tags)

    def is_online(self, instance_id: InstanceId) -> bool:
        return instance_id in self.online

    def start(self, instance_id: InstanceId) -> None:
        self._move("start", instance_id, MachineState.PENDING)

    def stop(self, instance_id: InstanceId) -> None:
        self._move("stop", instance_id, MachineState.STOPPING)

    def terminate(self, instance_id: InstanceId) -> None:
        self._move("terminate", instance_id, MachineState.SHUTTING_DOWN)

    def _move(self, verb: str, instance_id: InstanceId, state: MachineState) -> None:
        self.asked.append((verb, instance_id))
        self.views[instance_id] = self.views[instance_id].model_copy(update={"state": state})


@dataclass
class MemoryCatalogue:
    """EC2's types and prices."""

    asked: list[str] = field(default_factory=list[str])
    moved: list[PriceStep] = field(default_factory=list[PriceStep])
    on_demand_source: PriceSource = PriceSource.PRICE_LIST

    def machine_types(self, names: Iterable[str]) -> tuple[MachineType, ...]:
        asked = list(names)
        self.asked += asked
        for name in asked:
            if name not in PRICES:
                raise InvalidSpec(f"EC2 has no instance type {name} here.", hint="Did you mean t3.micro?")
        return tuple(MachineType(name=name, architecture="arm64" if "g." in name else "x86_64") for name in asked)

    def offered_types(self, option: PurchaseOption) -> Iterable[MachineType]:
        del option
        return OFFERED

    def on_demand(self, instance_type: str) -> Price | None:
        price = PRICES[instance_type]
        if price is None:
            return None
        return Price(usd_per_hour=Decimal(price), source=self.on_demand_source, as_of="2026-11")

    def spot_by_zone(self, instance_type: str) -> dict[str, Price]:
        price = PRICES[instance_type]
        shares = {"us-east-1a": Decimal("0.3"), "us-east-1b": Decimal("0.2")}
        if price is None:
            return {}
        return {
            zone: Price(usd_per_hour=Decimal(price) * share, source=PriceSource.SPOT_HISTORY, as_of="2026-11")
            for zone, share in shares.items()
        }

    def spot_steps(
        self, instance_types: Iterable[str], since: datetime
    ) -> dict[tuple[str, str], tuple[PriceStep, ...]]:
        return {(name, "us-east-1a"): tuple(self.moved) for name in instance_types}


@dataclass
class MemoryLogs:
    """CloudWatch Logs; `growth` has pages that come later, one a read at the end."""

    streams: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    growth: dict[str, list[list[str]]] = field(default_factory=dict[str, list[list[str]]])

    def page(self, stream: str, token: str | None = None) -> LogPage:
        lines = self.streams.get(stream, [])
        start = int(token or 0)
        if start >= len(lines) and self.growth.get(stream):
            lines = self.streams.setdefault(stream, [])
            lines += self.growth[stream].pop(0)
        new = tuple(LogLine(1_000 * number, text) for number, text in enumerate(lines[start:], start))
        return LogPage(new, str(len(lines)) if new else token)

    def tail(self, stream: str, lines: int) -> LogPage:
        whole = self.page(stream).lines
        return LogPage(whole[-lines:], str(len(whole)) if whole else None)


@dataclass
class MemoryResults:
    """What runs left behind: objects by key, and what is known of them."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    saved: list[Manifest] = field(default_factory=list[Manifest])
    left: dict[str, list[Output]] = field(default_factory=dict[str, list[Output]])
    reads: list[str] = field(default_factory=list[str])
    deleted: list[str] = field(default_factory=list[str])
    """Keys in the order in which they were deleted."""
    measured: list[LeftHistory] = field(default_factory=list[LeftHistory])

    def histories(self, run_id: RunId) -> tuple[LeftHistory, ...]:
        return tuple(left for left in self.measured if left.history.run_id == run_id)

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        return tuple(manifest for manifest in self.saved if manifest.run_id == run_id)

    def outputs(self, run_id: RunId) -> tuple[Output, ...]:
        return tuple(self.left.get(run_id, []))

    def read(self, key: str) -> Iterator[bytes]:
        self.reads.append(key)
        body = self.objects[key]
        return iter((body[: len(body) // 2], body[len(body) // 2 :]))

    def delete(self, keys: Sequence[str]) -> None:
        self.deleted += keys
        gone = {key for key in keys if key.endswith("/manifest.json")}
        self.saved = [manifest for manifest in self.saved if manifest_key(manifest) not in gone]
        for key in set(keys) - gone:
            del self.objects[key]

    def save(self, attempt: Attempt, name: str, step: int | None, files: Mapping[str, bytes]) -> Manifest:
        """Put a complete checkpoint of the attempt into the bucket."""
        prefix = keys.attempt_prefix(attempt.run_id, attempt.number, "ROLE", attempt.instance_id or InstanceId(""))
        manifest = Manifest(
            run_id=attempt.run_id,
            attempt=attempt.number,
            name=name,
            step=step,
            saved_at=NOW + timedelta(seconds=step or 0),
            files=self._put(f"{prefix}checkpoints/{name}/files/", files),
        )
        self.saved.append(manifest)
        return manifest

    def leave(self, attempt: Attempt, files: Mapping[str, bytes]) -> None:
        """Put the attempt's output into the bucket."""
        instance_id = attempt.instance_id or InstanceId("")
        prefix = keys.attempt_prefix(attempt.run_id, attempt.number, "ROLE", instance_id)
        output = Output(attempt.number, instance_id, self._put(f"{prefix}output/", files))
        self.left.setdefault(attempt.run_id, []).append(output)

    def _put(self, prefix: str, files: Mapping[str, bytes]) -> tuple[CheckpointFile, ...]:
        self.objects |= {prefix + path: body for path, body in files.items()}
        return tuple(
            CheckpointFile(path=path, key=prefix + path, bytes=len(body), sha256=sha256(body).hexdigest())
            for path, body in files.items()
        )


@dataclass
class MemoryLedger:
    """What is added up of money."""

    lines: list[Spending] = field(default_factory=list[Spending])
    seen: Figures | None = None

    def spendings(self, first: date, last: date) -> Iterable[Spending]:
        return [line for line in self.lines if first <= line.ended_at.date() <= last]

    def figures(self) -> Figures | None:
        return self.seen


@dataclass
class MemorySubscriptions:
    """The topic's subscriptions; nobody confirms."""

    found: list[Subscription] = field(default_factory=list[Subscription])

    def add(self, protocol: str, endpoint: str) -> Subscription:
        self.found.append(Subscription(protocol, endpoint, is_confirmed=False))
        return self.found[-1]

    def all(self) -> tuple[Subscription, ...]:
        return tuple(self.found)

    def remove(self, endpoint: str) -> int:
        kept = [each for each in self.found if each.endpoint != endpoint]
        removed, self.found = len(self.found) - len(kept), kept
        return removed


@dataclass
class MemoryDeployment:
    """All of it, and the client of it."""

    runs: MemoryRuns = field(default_factory=MemoryRuns)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)
    code: MemoryCode = field(default_factory=MemoryCode)
    stopper: MemoryStopper = field(default_factory=MemoryStopper)
    sessions: MemorySessions = field(default_factory=MemorySessions)
    reaper: MemoryReaper = field(default_factory=MemoryReaper)
    dead_letters: MemoryLetters = field(default_factory=MemoryLetters)
    machines: MemoryMachines = field(default_factory=MemoryMachines)
    catalogue: MemoryCatalogue = field(default_factory=MemoryCatalogue)
    logs: MemoryLogs = field(default_factory=MemoryLogs)
    results: MemoryResults = field(default_factory=MemoryResults)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    budgets: InMemoryBudgets = field(default_factory=InMemoryBudgets)
    subscriptions: MemorySubscriptions = field(default_factory=MemorySubscriptions)
    data_buckets: tuple[str, ...] = ("images",)
    has_console: bool = True
    instance_profiles: str = "runctl-ssm-profile:AROAOWN,gpu:AROAGPU"
    slept_s: list[float] = field(default_factory=list[float])

    def client(self, project: str = "vision", **arguments: Any) -> Client:
        """Make a client that neither waits nor looks at the clock."""
        return Client(
            self, **{"user": "ada", "project": project, "now": lambda: NOW, "sleep": self.slept_s.append, **arguments}
        )

    @property
    def place(self) -> Place:
        return Place(STATE_MACHINE, self.has_console)

    @property
    def commands(self) -> MemoryMachines:
        return self.machines

    @property
    def machine_types(self) -> MemoryCatalogue:
        return self.catalogue

    @property
    def prices(self) -> MemoryCatalogue:
        return self.catalogue

    def add(self, run: Run, *attempts: Attempt) -> Run:
        """Put a run into the table."""
        self.runs.runs[run.run_id] = run
        self.runs.attempts_of[run.run_id] = list(attempts)
        return run

    @property
    def made(self) -> int:
        """How many things were made: runs, executions, projects in the bucket."""
        projects = [key for key in self.code.objects if key.endswith(".json.gz")]
        return len(self.runs.runs) + len(self.executions.started) + len(projects)


def with_code(run: Run, code: CodeRef) -> Run:
    """The run with other code."""
    return run.model_copy(update={"spec": run.spec.model_copy(update={"code": code})})


def a_run(run_id: str = "r-1hx3k7pabcde", **fields: Any) -> Run:
    """Make a run that trains; `fields` override."""
    defaults: dict[str, Any] = {
        "name": "digits",
        "project": "vision",
        "user": "ada",
        "status": RunStatus.RUNNING,
        "spec": RunSpec(
            script="train.py",
            code=CodeRef(key="code/0.json.gz", sha256="0f" * 32, bytes=1_234),
            instance_types=("t3.micro",),
        ),
        "created_at": NOW - timedelta(minutes=5),
        "updated_at": NOW,
        "attempt": AttemptNumber(1),
        "execution_arn": f"{STATE_MACHINE.replace(':stateMachine:', ':execution:')}:{run_id}",
    }
    return Run(run_id=RunId(run_id), **(defaults | fields))


def an_attempt(run_id: str = "r-1hx3k7pabcde", number: int = 1, **fields: Any) -> Attempt:
    """Make an attempt whose machine runs; `fields` override."""
    defaults: dict[str, Any] = {
        "created_at": NOW - timedelta(minutes=5),
        "secret": "5e" * 16,
        "instance_id": InstanceId(f"i-{number:017x}"),
        "instance_type": "t3.micro",
        "availability_zone": "us-east-1a",
        "purchase_option": PurchaseOption.SPOT,
        "price_usd_per_hour": Decimal("0.0036"),
        "on_demand_usd_per_hour": Decimal("0.0104"),
        "launched_at": NOW - timedelta(minutes=4),
    }
    return Attempt(run_id=RunId(run_id), number=AttemptNumber(number), **(defaults | fields))
