"""The smaller services in memory: SSM, task tokens, executions, the bucket, schedules, topics, metrics, prices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from runctl.errors import MachineNotReady, Throttled
from runctl.model import keys
from runctl.model.checkpoint import Manifest
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.job import AgentJob, HandOver, Limits, LinkedFile, ReplacementReady
from runctl.model.names import Metric
from runctl.model.packages import PackagesListing
from runctl.model.price import Price, PriceSource, PriceStep
from runctl.model.run import PurchaseOption
from runctl.model.service_events import ExecutionStatus

ROLE_ID = "AROAEXAMPLEEXAMPLE"


@dataclass
class FakeCommands:
    """SSM: knows the machines that are `online`, and keeps what was sent."""

    online: set[InstanceId] = field(default_factory=set[InstanceId])
    busy: set[InstanceId] = field(default_factory=set[InstanceId])
    """Machines for which SSM throttles us."""
    sent: list[tuple[InstanceId, str]] = field(default_factory=list[tuple[InstanceId, str]])

    def is_online(self, instance_id: InstanceId) -> bool:
        return instance_id in self.online

    def send(self, instance_id: InstanceId, script: str, *, comment: str) -> str:
        if instance_id not in self.online:
            raise MachineNotReady(f"SSM does not know {instance_id}.")
        if instance_id in self.busy:
            raise Throttled("SSM is busy.")
        self.sent.append((instance_id, script))
        return f"command-{len(self.sent)}"

    @property
    def verbs(self) -> list[str]:
        """What the agent was told: `start`, `stop`, `stop --now`, `notice`."""
        words = [script.split()[1:] for _, script in self.sent]
        return [" ".join([verb, *rest[2:]]) for verb, *rest in words]


@dataclass(frozen=True)
class TokenAnswer:
    """How a token was answered."""

    error: str | None
    cause: str
    output: dict[str, Any]


@dataclass
class FakeTaskTokens:
    """Step Functions' tokens: each that was handed out can be answered once, others not at all."""

    waiting: set[TaskToken] = field(default_factory=set[TaskToken])
    answers: dict[TaskToken, TokenAnswer] = field(default_factory=dict[TaskToken, TokenAnswer])
    refused: int = 0
    """How often a token was answered that was spent or unknown."""

    def hand_out(self, token: TaskToken) -> TaskToken:
        """Make a token that a state waits with."""
        self.waiting.add(token)
        return token

    def expire(self, token: TaskToken) -> None:
        """Let a token's state time out."""
        self.waiting.discard(token)

    def succeed(self, token: TaskToken, output: Mapping[str, Any]) -> bool:
        return self._answer(token, TokenAnswer(None, "", dict(output)))

    def fail(self, token: TaskToken, error: str, cause: str) -> bool:
        return self._answer(token, TokenAnswer(error, cause, {}))

    def _answer(self, token: TaskToken, answer: TokenAnswer) -> bool:
        if token not in self.waiting:
            self.refused += 1
            return False
        self.waiting.remove(token)
        self.answers[token] = answer
        return True


@dataclass
class FakeExecutions:
    """Step Functions' executions."""

    statuses: dict[RunId, ExecutionStatus] = field(default_factory=dict[RunId, ExecutionStatus])

    def status(self, run_id: RunId) -> ExecutionStatus | None:
        return self.statuses.get(run_id)


@dataclass
class FakeBucket:
    """The bucket: hand-offs, manifests and final markers."""

    jobs: dict[InstanceId, AgentJob] = field(default_factory=dict[InstanceId, AgentJob])
    roles: dict[InstanceId, str] = field(default_factory=dict[InstanceId, str])
    """Roles of machines that have not the stack's own."""
    gos: dict[InstanceId, HandOver] = field(default_factory=dict[InstanceId, HandOver])
    replacements: dict[InstanceId, ReplacementReady] = field(default_factory=dict[InstanceId, ReplacementReady])
    limits: dict[InstanceId, Limits] = field(default_factory=dict[InstanceId, Limits])
    saved: list[Manifest] = field(default_factory=list[Manifest])
    markers: dict[InstanceId, dict[str, Any]] = field(default_factory=dict[InstanceId, dict[str, Any]])

    def put_job(self, instance_id: InstanceId, job: AgentJob, *, role_id: str | None = None) -> None:
        self.jobs[instance_id] = job
        if role_id is not None:
            self.roles[instance_id] = role_id

    def put_go(self, instance_id: InstanceId, go: HandOver, *, role_id: str | None = None) -> None:
        self.gos[instance_id] = go

    def put_limits(self, instance_id: InstanceId, limits: Limits, *, role_id: str | None = None) -> None:
        self.limits[instance_id] = limits

    def put_replacement_ready(
        self, instance_id: InstanceId, word: ReplacementReady, *, role_id: str | None = None
    ) -> None:
        self.replacements[instance_id] = word

    def remove_job(self, instance_id: InstanceId, *, role_id: str | None = None) -> None:
        for documents in (self.jobs, self.gos, self.limits, self.replacements):
            documents.pop(instance_id, None)

    def prefix_of(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> str:
        return keys.attempt_prefix(run_id, number, role_id or ROLE_ID, instance_id)

    def manifests(self, run_id: RunId) -> tuple[Manifest, ...]:
        found = [manifest for manifest in self.saved if manifest.run_id == run_id]
        return tuple(sorted(found, key=lambda manifest: manifest.saved_at, reverse=True))

    def links(self, manifest: Manifest) -> tuple[LinkedFile, ...]:
        return tuple(
            LinkedFile(path=file.path, bytes=file.bytes, sha256=file.sha256, url=f"https://bucket.example/{file.key}")
            for file in manifest.files
        )

    def final_marker(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> dict[str, Any] | None:
        return self.markers.get(instance_id)


@dataclass
class FakePackages:
    """Packages that machines left."""

    left: dict[InstanceId, PackagesListing] = field(default_factory=dict[InstanceId, PackagesListing])
    asked: list[tuple[RunId, AttemptNumber]] = field(default_factory=list[tuple[RunId, AttemptNumber]])

    def prefix_of(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> str:
        return keys.packages_prefix(run_id, number, role_id or ROLE_ID, instance_id)

    def listing(
        self, run_id: RunId, number: AttemptNumber, instance_id: InstanceId, *, role_id: str | None = None
    ) -> PackagesListing | None:
        self.asked.append((run_id, number))
        return self.left.get(instance_id)

    def links(self, listing: PackagesListing) -> tuple[LinkedFile, ...]:
        return tuple(
            LinkedFile(path=file.path, bytes=file.bytes, sha256=file.sha256, url=f"https://bucket.example/{file.key}")
            for file in listing.files
        )


@dataclass
class FakeSchedules:
    """EventBridge Scheduler's one-time schedules."""

    times: dict[RunId, datetime] = field(default_factory=dict[RunId, datetime])
    looks: dict[RunId, datetime] = field(default_factory=dict[RunId, datetime])

    def look_at(self, run_id: RunId, at: datetime) -> None:
        self.looks[run_id] = at

    def forget(self, run_id: RunId) -> None:
        self.looks.pop(run_id, None)

    def terminate_at(self, run_id: RunId, at: datetime) -> None:
        self.times[run_id] = at

    def remove(self, run_id: RunId) -> None:
        self.times.pop(run_id, None)


@dataclass
class FakeNotifications:
    """SNS."""

    sent: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def send(self, subject: str, text: str) -> None:
        self.sent.append((subject, text))


@dataclass
class FakeMetrics:
    """CloudWatch: the values of each metric, in order."""

    values: dict[Metric, list[float]] = field(default_factory=dict[Metric, list[float]])

    def put(self, values: Mapping[Metric, float]) -> None:
        for metric, value in values.items():
            self.values.setdefault(metric, []).append(value)


@dataclass
class FakePrices:
    """Prices: one for on-demand, one for spot; None is a price that nobody knows."""

    on_demand: Decimal | None = Decimal("0.10")
    spot: Decimal | None = Decimal("0.04")
    on_demand_source: PriceSource = PriceSource.PRICE_LIST
    moved: list[PriceStep] = field(default_factory=list[PriceStep])
    """Later prices of every spot pool; before them `spot` holds."""
    asked: int = 0
    """How often the history was asked for."""

    def price(self, instance_type: str, availability_zone: str, option: PurchaseOption) -> Price | None:
        spot = option is PurchaseOption.SPOT
        usd = self.spot if spot else self.on_demand
        source = PriceSource.SPOT_HISTORY if spot else self.on_demand_source
        return None if usd is None else Price(usd_per_hour=usd, source=source, as_of="2026-11")

    def spot_steps(
        self, instance_types: Iterable[str], since: datetime
    ) -> dict[tuple[str, str], tuple[PriceStep, ...]]:
        self.asked += 1
        if self.spot is None:
            return {}
        steps = (PriceStep(since=since, usd_per_hour=self.spot), *self.moved)
        return {(name, f"us-east-1{letter}"): steps for name in instance_types for letter in "ab"}
