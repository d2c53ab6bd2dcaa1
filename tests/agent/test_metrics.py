"""Figures of the training and the load of the machine: read, thinned, sent and kept in bounded memory."""

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runctl.agent.history import POINTS, SERIES, History, Series
from runctl.agent.log_figures import figures_of_log
from runctl.agent.machine_load import MachineLoad
from runctl.agent.metrics import INTERVAL_S, POINTS_A_LOOK, WAITING, Metrics, thinned
from runctl.agent.nvml import Gpus
from runctl.agent.progress import Figures, Point, Progress, point_of_metrics
from runctl.agent.run_log import LineReader
from runctl.agent.tensorboard import Scalar
from runctl.model.history import MetricsHistory
from tests.agent.factories import PREFIX, RUN_ID, job
from tests.agent.fakes import FakeClock, FakeStream, MemoryStore, Sayings


@pytest.mark.parametrize(
    ("line", "figures"),
    [
        ("step 400/1000 loss 0.25", {"step": 400, "total_steps": 1000, "loss": 0.25}),
        ("global_step=400 train_loss=2.5e-1 val_loss: 0.5", {"step": 400, "loss": 0.25, "val_loss": 0.5}),
        ("iter: 12, lr 3e-4", {"step": 12, "lr": 3e-4}),
        ("Epoch 3/10", {"epoch": 3}),
        ("{'loss': 0.25, 'grad_norm': 1.5, 'learning_rate': 5e-05, 'epoch': 1.5}",
         {"loss": 0.25, "grad_norm": 1.5, "learning_rate": 5e-05, "epoch": 1.5}),
        ("Epoch 2:  50%|█████     | 50/100 [00:01<00:01, 49.5it/s, v_num=0, train_loss=0.5]",
         {"epoch": 2, "step": 50, "total_steps": 100, "loss": 0.5, "throughput": 49.5}),
        ("938/938 - 2s 2ms/step - accuracy: 0.98 - loss: 0.05 - val_accuracy: 0.97",
         {"accuracy": 0.98, "loss": 0.05, "val_accuracy": 0.97}),
        ("test accuracy: 91.5%  1800 samples/s", {"test_accuracy": 0.915, "throughput": 1800.0}),
        ("glossy 5, lossless 3, a step back, no figures", {}),
        ("loss: nan", {}),
    ],
)  # fmt: skip
def test_figures_are_found_in_the_lines_of_the_common_libraries(line: str, figures: dict[str, float]) -> None:
    assert figures_of_log(line) == pytest.approx(figures)


def test_line_of_any_length_takes_no_time() -> None:
    assert figures_of_log("loss" * 1_000_000) == {}


class NoBoards:
    """No TensorBoard."""

    def __init__(self, *scalars: Scalar) -> None:
        self.scalars = list(scalars)

    def read(self) -> list[Scalar]:
        found, self.scalars = self.scalars, []
        return found


def _progress(path: Path, *scalars: Scalar, metrics: str = "", log: str = "") -> Progress:
    (path / "metrics").write_text(metrics)
    (path / "log").write_text(log)
    return Progress(LineReader(path / "metrics"), LineReader(path / "log"), NoBoards(*scalars))


def test_all_numbers_of_the_metrics_file_are_kept(tmp_path: Path) -> None:
    progress = _progress(tmp_path, metrics='{"step": 5, "loss": 0.5, "f1": 0.9, "name": "x", "bad": NaN}\n')

    assert progress.take() == [Point(5, {"loss": 0.5, "f1": 0.9})]
    assert progress.take() == []


@pytest.mark.parametrize("line", ["", "text", "[1]", "3"])
def test_lines_of_the_metrics_file_that_are_no_objects_are_passed_over(line: str) -> None:
    assert point_of_metrics(line) is None


def test_values_that_are_no_numbers_are_left_out() -> None:
    assert point_of_metrics('{"step": "x", "loss": NaN, "throughput": true}') == Point(None, {})


def test_figures_that_a_line_does_not_name_stay_as_they_were(tmp_path: Path) -> None:
    progress = _progress(tmp_path, log="step 1/8 loss 0.5\n")
    progress.read()
    with (tmp_path / "log").open("a") as file:
        file.write("runctl: step 9 is the agent's own\nstep 2\n")

    assert progress.read() == Figures(step=2, total_steps=8, loss=0.5)


def test_log_that_grew_fast_is_looked_at_near_its_end(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"step {step}\n" for step in range(100_000)))
    progress = Progress(LineReader(tmp_path / "none"), LineReader(tmp_path / "log", newest_bytes=200), NoBoards())

    steps = [point.step for point in progress.take()]

    assert steps[-1] == 99_999
    assert len(steps) < 20


def test_board_wins_over_the_log_and_the_metrics_file_over_both(tmp_path: Path) -> None:
    scalars = (Scalar("Loss/train", 7, 0.5), Scalar("Loss/val", 7, 0.6))
    boards = _progress(tmp_path, *scalars, log="step 1 loss 9\n").take()
    metrics = _progress(tmp_path, *scalars, log="step 1 loss 9\n", metrics='{"step": 5}\n').take()

    assert boards == [Point(7, {"Loss/train": 0.5, "Loss/val": 0.6})]
    assert metrics == [Point(5, {})]


@pytest.mark.parametrize("tag", ["loss", "train/loss", "Loss/train", "model/my_loss"])
def test_loss_of_the_training_is_known_whatever_its_tag(tmp_path: Path, tag: str) -> None:
    figures = _progress(tmp_path, Scalar("val/loss", 7, 9.0), Scalar(tag, 7, 0.5)).read()

    assert (figures.step, figures.loss) == (7, 0.5)


def test_metrics_line_of_a_stranger_is_bounded() -> None:
    point = point_of_metrics(json.dumps({f"name-{number:04}" * 20: 1.0 for number in range(1_000)}))

    assert point is not None
    assert len(point.values) <= 32
    assert max(map(len, point.values)) <= 64
    assert point_of_metrics("[" * 100_000) is None


@given(samples=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3 * POINTS))
def test_series_is_bounded_and_keeps_mean_order_and_extremes(samples: list[float]) -> None:
    series = Series()
    for place, value in enumerate(samples):
        series.add(float(place), place, value)

    document = series.document()
    points = document["points"]
    assert len(points) <= POINTS
    assert [at for at, _, _ in points] == sorted(at for at, _, _ in points)
    assert points[-1][1] == len(samples) - 1
    assert (document["count"], document["last"]) == (len(samples), pytest.approx(samples[-1], rel=1e-5))
    assert (document["min"], document["max"]) == pytest.approx((min(samples), max(samples)), rel=1e-5)
    assert all(document["min"] - 1 <= value <= document["max"] + 1 for _, _, value in points)


def test_history_of_a_month_stays_small() -> None:
    history = History()
    for look in range(30 * 24 * 360):
        history.add("training", "2026-01-31T09:30:00.000Z", look * 10.0, {"loss": 1 / (look + 1)}, look)
    for number in range(10_000):
        history.add("machine", "2026-01-31T09:30:00.000Z", number, {f"odd-{number}": 1.0})

    document = history.document(RUN_ID, 2)
    assert document is not None
    assert len(document["machine"]) == SERIES
    assert len(json.dumps(document)) < 50_000


class Busy:
    """A machine that is as busy as it is told to be."""

    def __init__(self, **values: float) -> None:
        self.values = values

    def look(self) -> dict[str, float]:
        return dict(self.values)


class Measured:
    """The metrics of an attempt and where they go."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.stream, self.store, self.clock, self.say = FakeStream(), MemoryStore(), FakeClock(), Sayings()
        looks = (Busy(cpu_percent=50.0), Busy(gpu0_percent=97.0))
        self.metrics = Metrics(job(), self.take, looks, self.stream, self.store, self.clock, self.say)

    def take(self) -> list[Point]:
        taken, self.points = self.points, []
        return taken

    def look(self) -> None:
        self.metrics.step()
        self.clock.advance(INTERVAL_S)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.lines]


@pytest.fixture
def measured() -> Measured:
    return Measured()


def test_training_and_machine_go_to_the_stream(measured: Measured) -> None:
    measured.points = [Point(7, {"loss": 0.5})]
    measured.look()

    assert measured.events == [
        {"kind": "training", "step": 7, "values": {"loss": 0.5}},
        {"kind": "machine", "values": {"cpu_percent": 50.0, "gpu0_percent": 97.0}},
    ]


def test_training_that_reports_every_step_does_not_flood_the_stream(measured: Measured) -> None:
    measured.points = [Point(step, {"loss": 0.5}) for step in range(1_000)]
    measured.look()

    steps = [event["step"] for event in measured.events if event["kind"] == "training"]
    assert len(steps) == POINTS_A_LOOK
    assert steps[-1] == 999


@given(count=st.integers(0, 100), most=st.integers(1, 20))
def test_thinning_keeps_the_order_and_the_last(count: int, most: int) -> None:
    points = [Point(step, {}) for step in range(count)]

    kept = thinned(points, most)

    assert len(kept) == min(count, most)
    assert [point.step for point in kept] == sorted({point.step or 0 for point in kept})
    assert kept[-1:] == points[-1:]


def test_what_could_not_be_sent_is_sent_later_and_said_once(measured: Measured) -> None:
    measured.stream.fails = True
    for _ in range(3):
        measured.look()
    measured.stream.fails = False
    measured.look()

    assert len(measured.events) == 4
    assert len(measured.say.lines) == 1


def test_what_waits_is_bounded(measured: Measured) -> None:
    measured.stream.fails = True
    for _ in range(WAITING + 100):
        measured.look()
    measured.stream.fails = False
    measured.look()

    assert len(measured.events) == WAITING


def test_history_at_the_end_is_what_the_model_reads(measured: Measured) -> None:
    for step in (1, 2):
        measured.points = [Point(step, {"loss": 1 / step})]
        measured.look()
    measured.metrics.finish()

    history = MetricsHistory.model_validate(measured.store.document(f"{PREFIX}metrics.json"))
    assert (history.run_id, history.attempt, history.seconds) == (RUN_ID, 2, 20.0)
    loss = history.training["loss"]
    assert [(point.seconds, point.step, point.value) for point in loss.points] == [(0.0, 1, 1.0), (10.0, 2, 0.5)]
    assert (loss.count, loss.last, loss.min, loss.max) == (2, 0.5, 0.5, 1.0)
    assert history.machine["gpu0_percent"].count == 3


def test_bucket_that_refuses_the_history_does_not_stop_the_end(measured: Measured) -> None:
    measured.look()
    measured.store.fails = True

    measured.metrics.finish()

    assert "history" in measured.say


def _proc(path: Path, *, cpu: str, sent: int) -> None:
    (path / "net").mkdir(exist_ok=True)
    (path / "stat").write_text(f"cpu  {cpu}\ncpu0 0 0 0 0\n")
    (path / "meminfo").write_text("MemTotal:    1000 kB\nMemFree:      100 kB\nMemAvailable: 250 kB\n")
    (path / "net" / "dev").write_text(
        "Inter-|   Receive\n face |bytes\n    lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
        f"  eth0: 1048576 0 0 0 0 0 0 0 {sent} 0 0 0 0 0 0 0\n"
    )


def test_load_is_read_from_the_kernels_files(tmp_path: Path) -> None:
    clock = FakeClock()
    load = MachineLoad(tmp_path, clock, tmp_path)
    _proc(tmp_path, cpu="100 0 0 900 0 0 0 0 0 0", sent=0)
    first = load.look()
    _proc(tmp_path, cpu="175 0 0 925 0 0 0 0 0 0", sent=20 * 1024 * 1024)
    clock.advance(10.0)
    second = load.look()

    assert "cpu_percent" not in first
    assert (second["cpu_percent"], second["memory_percent"]) == (75.0, 75.0)
    assert (second["network_in_mib_s"], second["network_out_mib_s"]) == (0.0, 2.0)
    assert 0 <= second["disk_percent"] <= 100


def test_kernel_that_tells_nothing_is_no_fault(tmp_path: Path) -> None:
    assert set(MachineLoad(tmp_path, FakeClock(), tmp_path / "none").look()) == {"disk_percent"}


class FakeNvml:
    """libnvidia-ml as ctypes sees it: fills what it is given a reference to, answers 0 when it can."""

    def __init__(self, gpus: int = 2) -> None:
        self.gpus = gpus
        self.temperature_answer = 0

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = self.gpus
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: ctypes.c_uint, handle: Any) -> int:
        handle._obj.value = index.value + 1
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle: ctypes.c_void_p, use: Any) -> int:
        use._obj.gpu = 90 + (handle.value or 0)
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: ctypes.c_void_p, memory: Any) -> int:
        memory._obj.total, memory._obj.used = 80 * 2**30, 20 * 2**30
        return 0

    def nvmlDeviceGetTemperature(self, handle: ctypes.c_void_p, sensor: int, degrees: Any) -> int:
        degrees._obj.value = 61
        return self.temperature_answer

    def nvmlDeviceGetPowerUsage(self, handle: ctypes.c_void_p, milliwatts: Any) -> int:
        milliwatts._obj.value = 350_500
        return 0


def test_each_gpu_is_looked_at() -> None:
    gpus = Gpus(lambda name: FakeNvml())

    found = gpus.look()

    assert (found["gpu0_percent"], found["gpu1_percent"]) == (91.0, 92.0)
    assert (found["gpu1_memory_percent"], found["gpu1_temperature_c"], found["gpu1_power_w"]) == (25.0, 61.0, 350.5)


def test_what_a_gpu_does_not_tell_is_left_out() -> None:
    library = FakeNvml(gpus=1)
    library.temperature_answer = 3  # NVML_ERROR_NOT_SUPPORTED

    assert "gpu0_temperature_c" not in Gpus(lambda name: library).look()


def test_machine_without_a_driver_has_no_gpus() -> None:
    def load(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    assert Gpus(load).look() == {}
