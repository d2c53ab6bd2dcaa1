"""The page about runs."""

from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

from runctl.aws.results import LeftHistory
from runctl.model import keys
from runctl.model.attempt import Fact, FactKind
from runctl.model.history import MetricsHistory
from runctl.model.ids import AttemptNumber, InstanceId, RunId
from runctl.model.run import Run
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineEvent, TimelineKind
from tests.client.deployment import NOW, MemoryDeployment, a_run, an_attempt

EVIL = "</style></pre><script>alert('x')</script><img src=x onerror=alert(1)>\"'"

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and whether they close as they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _history(run_id: str, number: int, *, name: str = "loss", began: timedelta = timedelta()) -> LeftHistory:
    def series(*values: float) -> dict[str, object]:
        points = [[10.0 * at, 100 * number + at, value] for at, value in enumerate(values)]
        return {"count": len(values), "last": values[-1], "min": min(values), "max": max(values), "points": points}

    history = MetricsHistory.model_validate(
        {
            "run_id": run_id,
            "attempt": number,
            "began_at": NOW - timedelta(minutes=4) + began,
            "seconds": 60.0,
            "training": {name: series(0.5, 0.25), "throughput": series(100.0, 300.0)},
            "machine": {"cpu_percent": series(10.0, 20.0), "gpu0_percent": series(90.0, 95.0)},
        }
    )
    return LeftHistory(InstanceId(f"i-{number:017x}"), history)


def _recovered(deployment: MemoryDeployment, run_id: str = "r-1hx3k7pabcde", **fields: object) -> Run:
    """A run that went on on a second machine."""
    first = an_attempt(
        run_id,
        1,
        facts={FactKind.STARTED: Fact(at=NOW - timedelta(minutes=3)), FactKind.WARNED: Fact(at=NOW)},
        ended_at=NOW,
        reason=Reason.SPOT_INTERRUPTION,
        evidence="EC2 took it back.",
    )
    second = an_attempt(run_id, 2, instance_type="g5.xlarge", resumed_from_step=100)
    run = deployment.add(a_run(run_id, attempt=AttemptNumber(2), **fields), first, second)
    deployment.results.measured += [_history(run_id, 1), _history(run_id, 2, began=timedelta(minutes=2))]
    for number in (1, 2):
        deployment.logs.streams[keys.log_stream(RunId(run_id), AttemptNumber(number))] = [f"line of {number}"]
    deployment.runs.timeline.append(
        TimelineEvent(
            run_id=RunId(run_id),
            event_id="e",
            at=NOW,
            kind=TimelineKind.CHECKPOINT_SAVED,
            text="Saved.",
            attempt=first.number,
        )
    )
    return run


def _page(deployment: MemoryDeployment, *runs: Run) -> Page:
    return Page(deployment.client().page(runs))


def test_page_of_a_run_shows_curves_attempts_cost_events_and_log() -> None:
    deployment = MemoryDeployment()

    page = _page(deployment, _recovered(deployment))

    titles = ["Training", "Machines", "Attempts", "Cost", "Events", "End of the log"]
    assert [title for title in titles if title in page.text] == titles
    assert page.names.count("figure") == 5  # loss, throughput, steps; processor, GPU
    assert "g5.xlarge · us-east-1a · spot" in page.text
    assert "SPOT_INTERRUPTION" in page.text
    assert "EC2 took it back." in page.text
    assert "line of 1\n--- attempt 2: another machine ---\nline of 2\n" in page.text
    assert "checkpoint saved" in page.text


def test_page_opens_offline() -> None:
    deployment = MemoryDeployment()

    text = deployment.client().page([_recovered(deployment)])

    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.names)
    assert [value for name, value in page.attributes if name in {"src", "srcset", "data"}] == []
    assert "url(" not in text
    assert "@import" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_what_users_wrote_is_text_and_never_markup() -> None:
    deployment = MemoryDeployment()
    run_id = "r-1hx3k7pabcde"
    spec = a_run().spec.model_copy(update={"script": "train.py", "args": (EVIL,), "environment": {"A": EVIL}})
    first = an_attempt(run_id, evidence=EVIL, instance_type=EVIL)
    run = deployment.add(a_run(name=EVIL, user=EVIL, project=EVIL, message=EVIL, spec=spec), first)
    deployment.results.measured = [_history(run_id, 1, name=EVIL)]
    deployment.logs.streams[keys.log_stream(run.run_id, first.number)] = [EVIL]
    deployment.runs.timeline.append(
        TimelineEvent(run_id=run.run_id, event_id="e", at=NOW, kind=TimelineKind.WARNING, text=EVIL)
    )
    other = deployment.add(a_run("r-1hx3k7pbbbbb", name=EVIL))

    for runs in ([run], [run, other]):
        page = Page(deployment.client().page(runs))

        assert not {"script", "img"} & set(page.names)
        assert [name for name, _ in page.attributes if name.startswith("on")] == []
        assert page.text.count("<script>alert('x')</script>") >= 7


def test_values_of_environment_variables_are_not_in_the_page() -> None:
    deployment = MemoryDeployment()
    spec = a_run().spec.model_copy(update={"environment": {"TOKEN": "s3cret"}})
    runs = [deployment.add(a_run(spec=spec)), deployment.add(a_run("r-1hx3k7pbbbbb"))]

    assert "s3cret" not in deployment.client().page(runs)


def test_several_runs_are_compared_in_a_table_in_what_differs_and_in_their_curves() -> None:
    deployment = MemoryDeployment()
    fast = a_run().spec.model_copy(update={"args": ("--lr", "0.3")})
    one = _recovered(deployment, name="slow")
    two = _recovered(deployment, "r-1hx3k7pbbbbb", name="fast", spec=fast, status=RunStatus.SUCCEEDED)

    page = _page(deployment, one, two)

    assert "2 runs compared" in page.text
    assert "--lr 0.3" in page.text
    assert "slow (r-1hx3k7pabcde)" in page.text  # the legend of a curve
    assert ("href", "#r-1hx3k7pbbbbb") in page.attributes
    assert ("id", "r-1hx3k7pbbbbb") in page.attributes
    assert page.names.count("article") == 3


def test_run_that_has_barely_begun_has_a_page_too() -> None:
    deployment = MemoryDeployment()

    page = _page(deployment, deployment.add(a_run(status=RunStatus.PENDING, attempt=AttemptNumber(0))))

    assert "No machine was tried." in page.text
    assert "The training has told no figures." in page.text
    assert "It has printed nothing." in page.text


def test_price_that_is_not_known_does_not_read_as_nothing() -> None:
    deployment = MemoryDeployment()
    run = deployment.add(a_run(), an_attempt(price_usd_per_hour=None))

    page = _page(deployment, run)

    assert "not known" in page.text
    assert "Machines whose price is not known are not in the sums." in page.text


def test_limit_and_savings_are_told() -> None:
    deployment = MemoryDeployment()
    spec = a_run().spec.model_copy(update={"max_cost_usd": Decimal("2.5")})

    page = _page(deployment, deployment.add(a_run(spec=spec), an_attempt()))

    assert "$2.50" in page.text
    assert "Not settled" in page.text


def test_only_the_end_of_a_long_log_is_read() -> None:
    deployment = MemoryDeployment()
    run = _recovered(deployment)
    lines = [f"step {number}" for number in range(1_000)]
    deployment.logs.streams[keys.log_stream(run.run_id, AttemptNumber(2))] = lines

    page = _page(deployment, run)

    assert "step 999\n" in page.text
    assert "step 800\n" in page.text
    assert "step 799\n" not in page.text
    assert "line of 1" not in page.text
