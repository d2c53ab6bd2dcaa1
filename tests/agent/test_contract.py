"""What the agent reads and writes is what `runctl.model` says, in both directions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent import announce, ending, job, layout, report, supervisor, unit
from runctl.agent.board_files import BoardFiles
from runctl.agent.checkpoint_folder import CheckpointFolder
from runctl.agent.checkpoint_record import RecordFile
from runctl.agent.checkpoint_uploader import CheckpointUploader
from runctl.agent.clock import iso as agent_iso
from runctl.agent.ending import Why
from runctl.agent.events import EventKind, EventSender, Identity, sign
from runctl.agent.job import JobError, read_job
from runctl.agent.progress import Figures, Progress
from runctl.agent.run_log import LAST_CHARACTERS, LAST_LINES, LineReader
from runctl.agent.telling import Telling
from runctl.agent.training_process import Exit
from runctl.model import agent_event, timing
from runctl.model.agent_event import (
    AgentEvent,
    AgentEventKind,
    CheckpointSaved,
    EndedWhy,
    ProgressReport,
    TrainingEnded,
    is_authentic,
)
from runctl.model.base import iso
from runctl.model.checkpoint import Manifest
from runctl.model.ids import RunId
from runctl.model.job import LinkedFile, ResumePoint
from runctl.model.keys import handoff_key
from runctl.model.names import AGENT_EVENT_SOURCE, Tag
from tests.agent.factories import INSTANCE_ID, PREFIX, RUN_ID, SECRET, agent_job
from tests.agent.fakes import FakeBus, FakeClock, MemoryStore, Sayings

EARLY, LATE = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
IDENTITY = Identity(RUN_ID, 2, INSTANCE_ID, SECRET)


def _sender(bus: FakeBus | None = None) -> EventSender:
    return EventSender(IDENTITY, bus or FakeBus(), FakeClock())


def test_agent_reads_every_field_of_the_hand_off() -> None:
    point = ResumePoint(
        manifest_key="runs/x/manifest.json",
        name="step-4",
        step=4,
        files=(LinkedFile(path="step-4/weights", bytes=3, sha256="ab" * 32, url="https://example.org/x"),),
    )
    written = agent_job(args=("--epochs", "3"), environment={"A": "b"}, resume_points=(point,), verify_checkpoints=True)

    read = read_job(written.model_dump_json())

    as_read = {name: getattr(read, name) for name in job.Job.__dataclass_fields__}
    assert set(as_read) == set(type(written).model_fields) - {"version"}
    assert as_read.pop("code") == job.CodeRef(written.code.key, written.code.sha256)
    (resumed,) = as_read.pop("resume_points")
    assert resumed == job.ResumePoint(
        "runs/x/manifest.json", "step-4", 4, (job.LinkedFile("step-4/weights", 3, "ab" * 32, "https://example.org/x"),)
    )
    assert as_read == {name: getattr(written, name) for name in as_read}


def test_newer_hand_off_with_a_field_more_is_read() -> None:
    text = agent_job().model_dump_json().replace('{"version"', '{"from_the_future":1,"version"')

    assert read_job(text).run_id == RUN_ID


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 2}', '{"version": 1, "run_id": null}'])
def test_hand_off_that_cannot_be_read_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises((JobError, ValueError)):
        read_job(text)


@given(
    data=st.dictionaries(
        st.text(max_size=5),
        st.none() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
        max_size=4,
    )
)
def test_signatures_are_those_of_the_model(data: dict[str, Any]) -> None:
    detail = {"run_id": RUN_ID, "data": data, "text": "Grüße \u2028"}

    assert sign(detail, SECRET) == agent_event.sign(detail, SECRET)


@given(value=st.floats())
def test_numbers_survive_a_reader_that_writes_whole_floats_as_integers(value: float) -> None:
    detail = _sender().detail(EventKind.PROGRESS, {"loss": value})

    sent = detail["data"]["loss"]

    assert sent is None or isinstance(sent, int) or not sent.is_integer() or abs(sent) >= 2**53
    assert is_authentic(detail, SECRET)


@pytest.mark.parametrize("kind", list(EventKind))
def test_events_parse_and_are_authentic(kind: EventKind) -> None:
    bus = FakeBus()

    _sender(bus).send(kind, {"a": "b"})

    (sent,) = bus.events
    event = AgentEvent.model_validate(sent)
    assert (event.run_id, event.attempt, event.instance_id, event.kind) == (RUN_ID, 2, INSTANCE_ID, kind.value)
    assert datetime.fromisoformat(event.time) == FakeClock().now()
    assert is_authentic(sent, SECRET)


def test_announcement_before_there_is_a_secret_is_not_signed() -> None:
    detail = EventSender(Identity(RUN_ID, 1, INSTANCE_ID), FakeBus(), FakeClock()).detail(EventKind.MACHINE_READY, {})

    assert AgentEvent.model_validate(detail).signature == ""


@pytest.mark.parametrize("why", list(Why))
def test_every_ending_parses(why: Why) -> None:
    ended = report.Ended(why, Exit(signal=9), message="m", last_lines=("a", "b"))

    parsed = TrainingEnded.model_validate(ended.data(FakeClock()))

    assert (parsed.why, parsed.exit_code, parsed.signal) == (EndedWhy(why.value), None, 9)
    assert (parsed.message, parsed.last_lines, parsed.started) == ("m", ("a", "b"), True)
    assert parsed.ended_at == FakeClock().now()


def test_manifest_and_its_event_parse(tmp_path: Path) -> None:
    (tmp_path / "step-7").mkdir()
    (tmp_path / "step-7" / "weights").write_bytes(b"weights")
    store, bus, clock = MemoryStore(), FakeBus(), FakeClock()
    telling = Telling(_sender(bus), lambda: Figures(step=7, loss=0.5), lambda: False, clock, Sayings())
    uploader = CheckpointUploader(
        CheckpointFolder(tmp_path),
        RecordFile(tmp_path / ".uploads"),
        store,
        read_job(agent_job().model_dump_json()),
        telling.saved,
        clock,
        Sayings(),
    )

    uploader.finish()

    manifest = Manifest.model_validate(store.document(f"{PREFIX}checkpoints/step-7/manifest.json"))
    assert (manifest.run_id, manifest.attempt, manifest.name, manifest.step) == (RUN_ID, 2, "step-7", 7)
    (file,) = manifest.files
    assert (file.path, file.bytes, store.objects[file.key]) == ("step-7/weights", 7, b"weights")
    assert file.key.startswith(f"{PREFIX}checkpoints/step-7/files/")
    (event,) = bus.of("Checkpoint Saved")
    saved = CheckpointSaved.model_validate(event["data"])
    assert (saved.step, saved.bytes, saved.files, saved.saved_at) == (7, 7, 1, manifest.saved_at)
    assert saved.manifest_key == f"{PREFIX}checkpoints/step-7/manifest.json"
    assert saved.progress == ProgressReport(at=clock.now(), step=7, loss=0.5)
    assert is_authentic(event, SECRET)


def test_progress_parses(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text('{"step": 3, "total_steps": 10, "loss": 0.5, "throughput": 12}\n')

    files = (LineReader(tmp_path / "metrics"), LineReader(tmp_path / "log"))
    data = Progress(*files, BoardFiles((), FakeClock(), Sayings())).read().data("2026-01-31T09:30:00.000Z")

    parsed = ProgressReport.model_validate(data)
    assert (parsed.step, parsed.total_steps, parsed.loss, parsed.throughput) == (3, 10, 0.5, 12.0)


@given(moment=st.datetimes(timezones=st.just(UTC), min_value=EARLY, max_value=LATE))
def test_times_are_spelt_alike(moment: datetime) -> None:
    assert agent_iso(moment) == iso(moment)


def test_names_and_limits_are_the_same_on_both_sides() -> None:
    record = layout.MachineRecord("bucket", "bus", "AROAEXAMPLE", "eu-central-1")

    assert record.handoff_key(INSTANCE_ID) == handoff_key("AROAEXAMPLE", INSTANCE_ID)
    assert {kind.value for kind in EventKind} == {kind.value for kind in AgentEventKind}
    assert {why.value for why in Why} == {why.value for why in EndedWhy}
    assert (announce.RUN_TAG, announce.ATTEMPT_TAG) == (Tag.RUN, Tag.ATTEMPT)
    assert AGENT_EVENT_SOURCE == "runctl.agent"
    assert timing.READY_INTERVAL.total_seconds() == announce.INTERVAL_S
    assert timing.READY_ANNOUNCED.total_seconds() == announce.LIMIT_S
    assert timing.UPLOAD_RESERVE.total_seconds() == ending.UPLOAD_RESERVE_S
    assert timing.POWER_OFF_DELAY.total_seconds() == supervisor.POWER_OFF_DELAY_S
    assert timing.HEARTBEAT_TIMEOUT.total_seconds() > report.REPORT_LIMIT_S
    assert timing.SAVE_LIMIT.total_seconds() < unit.STOP_LIMIT_S
    assert (LAST_LINES, LAST_CHARACTERS) == (20, 4_096)


def test_reserve_is_less_than_half_of_the_usual_notice() -> None:
    usual = ending.Notice(0.0, timing.SPOT_NOTICE.total_seconds())

    assert ending.reserve_s(usual, save_s=0.0, upload_s=0.0) == timing.UPLOAD_RESERVE.total_seconds()


def test_run_folder_is_named_by_run_and_attempt() -> None:
    folder = layout.AttemptFolder.of(Path("/opt/runctl"), RunId("r-1"), 3)

    assert folder.path == Path("/opt/runctl/runs/r-1/attempt-3")
