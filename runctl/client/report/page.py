"""The page of a report: one file of HTML that opens offline, on any screen and on paper."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from runctl import __version__
from runctl.client.report.comparison import comparison
from runctl.client.report.figures import machine_charts, training_charts
from runctl.client.report.markup import Html, document, markup, style_sheet, tag
from runctl.client.report.record import LOG_LINES, RunRecord
from runctl.client.report.scales import short_text
from runctl.client.report.tables import Cell, table
from runctl.client.report.time_line import machine_text, time_line
from runctl.client.report.words import clock, lasted, status_words, usd
from runctl.model.attempt import Attempt
from runctl.policy.cost import attempt_cost, on_demand_cost

_EVENTS: Final = 1_000
"""Newest events that are shown: a run of months has more than a browser likes to lay out."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""The browser fetches nothing and runs nothing, whatever a page holds (Content Security Policy Level 3)."""


def report_page(records: Sequence[RunRecord]) -> str:
    """Write the page: of one run all there is, of several a comparison first."""
    title = f"Run {records[0].run.name}" if len(records) == 1 else f"{len(records)} runs compared"
    compared = [] if len(records) == 1 else [comparison(records)]
    body = markup(compared, [_article(record) for record in records], _footer(records[0].read_at))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} · runctl"),
        style_sheet(),
    )
    return document(tag("html", head, tag("body", body), lang="en"))


def _footer(read_at: datetime) -> Html:
    return tag("footer", f"As of {clock(read_at)} UTC. Written by runctl {__version__}; times are UTC.")


def _article(record: RunRecord) -> Html:
    run = record.run
    return tag(
        "article",
        tag(
            "header",
            tag("h1", run.name, " ", tag("span", run.run_id, class_="id soft")),
            tag("p", status_words(run), f" {run.message}" if run.message else None),
            class_="run",
        ),
        _facts(record),
        _section("Training", _charts(training_charts([record]), "The training has told no figures.")),
        _section("Machines", _charts(machine_charts(record), "No machine has told how busy it was.")),
        _section("Attempts", time_line(record) or _note("No machine was tried."), _attempts(record)),
        _section("Cost", _cost(record)),
        _section("Events", _events(record)),
        _section("End of the log", _log(record)),
        id=run.run_id,
    )


def _section(title: str, *content: Html | None) -> Html:
    return tag("section", tag("h2", title), content)


def _note(text: str) -> Html:
    return tag("p", text, class_="note")


def _charts(charts: Sequence[Html], otherwise: str) -> Html:
    return tag("div", charts, class_="charts") if charts else _note(otherwise)


def _facts(record: RunRecord) -> Html:
    run, spec = record.run, record.run.spec
    facts: list[tuple[str, str | Html]] = [
        ("What ran", tag("code", " ".join([spec.label, *spec.args]))),
        ("Machines", f"{' or '.join(spec.instance_types)}, {spec.purchase_option.value}"),
        ("Project", f"{run.project}, by {run.user}"),
        ("Submitted", clock(run.created_at)),
        ("Took" if run.ended_at else "Has run for", lasted(record.ended_at - run.created_at)),
        ("Cost", usd(record.cost.accrued_usd)),
    ]
    if run.progress is not None and run.progress.step is not None:
        total = "" if run.progress.total_steps is None else f" of {run.progress.total_steps:,}"
        loss = "" if run.progress.loss is None else f", loss {short_text(run.progress.loss)}"
        facts.append(("Progress", f"step {run.progress.step:,}{total}{loss}"))
    if run.checkpoint is not None:
        facts.append(("Newest checkpoint", f"{run.checkpoint.name}, {clock(run.checkpoint.saved_at)}"))
    if run.resumed_from is not None:
        facts.append(("Went on from", f"{run.resumed_from.run_id} {run.resumed_from.name}"))
    if record.console_url is not None:
        facts.append(("Step Functions", tag("a", "the execution in the console", href=record.console_url)))
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts])


def _attempts(record: RunRecord) -> Html | None:
    if not record.attempts:
        return None
    head = ("#", "Machine", "Id", "Started", "Lasted", "Ended as", "Exit", "From step", "Cost")
    return table(head, [_attempt_row(attempt, record) for attempt in record.attempts])


def _attempt_row(attempt: Attempt, record: RunRecord) -> list[Cell]:
    started = attempt.launched_at or attempt.created_at
    return [
        Cell.exact(str(attempt.number)),
        Cell.exact(machine_text(attempt)),
        Cell.exact(attempt.instance_id or ""),
        Cell.exact(clock(started)),
        Cell.exact(lasted((attempt.ended_at or record.ended_at) - started)),
        Cell.exact("" if attempt.reason is None else attempt.reason.value),
        Cell.exact("" if attempt.exit_code is None else str(attempt.exit_code)),
        Cell.exact("" if attempt.resumed_from_step is None else f"{attempt.resumed_from_step:,}"),
        Cell.exact(_known(attempt_cost(attempt, record.read_at))),
    ]


def _cost(record: RunRecord) -> Html:
    cost, spec = record.cost, record.run.spec
    rows = [
        ("Spent" if cost.is_settled else "Spent so far", usd(cost.accrued_usd)),
        ("Limit", _known(spec.max_cost_usd)),
        ("Estimated at most", _known(record.run.estimated_usd)),
        ("The same time on demand", usd(cost.on_demand_usd)),
        ("Saved by spot", f"{usd(cost.saved_usd)} ({cost.saved_percent} %)"),
        ("Of it for work done again after interruptions", usd(cost.recomputed_usd)),
    ]
    remarks = [
        ("Not settled: EC2 has not said yet how each machine ended.", not cost.is_settled),
        ("Machines whose price is not known are not in the sums.", not cost.is_complete),
        ("Prices rest in part on the table that comes with runctl, not on AWS's answer.", cost.rests_on_bundled),
    ]
    machines = [
        [
            Cell.exact(str(attempt.number)),
            Cell.exact(machine_text(attempt)),
            Cell.exact(_known(attempt.price_usd_per_hour)),
            Cell.exact(_known(attempt_cost(attempt, record.read_at))),
            Cell.exact(_known(on_demand_cost(attempt, record.read_at))),
        ]
        for attempt in record.attempts
    ]
    facts = tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows])
    head = ("#", "Machine", "An hour, at launch", "Cost", "On demand")
    by_machine = table(head, machines) if machines else None
    return markup(facts, by_machine, [_note(text) for text, holds in remarks if holds])


def _known(amount: Decimal | None) -> str:
    return "not known" if amount is None else usd(amount)


def _events(record: RunRecord) -> Html:
    if not record.events:
        return _note("Nothing has happened yet.")
    shown = record.events[-_EVENTS:]
    rows = [
        [
            Cell.exact(clock(event.at)),
            Cell.exact("" if event.attempt is None else str(event.attempt)),
            Cell.exact(event.kind.value.replace("_", " ")),
            Cell.wide(event.text),
        ]
        for event in shown
    ]
    left_out = len(record.events) - len(shown)
    note = _note(f"{left_out:,} earlier ones: runctl events {record.run.run_id}") if left_out else None
    return markup(note, table(("Time", "#", "Kind", "What happened"), rows))


def _log(record: RunRecord) -> Html:
    if not record.log:
        return _note("It has printed nothing.")
    lines: list[Html] = []
    current = None
    for entry in record.log:
        if current is not None and entry.attempt != current:
            turn = f"--- attempt {entry.attempt}: another machine ---"
            lines.append(markup(tag("span", turn, class_="turn"), "\n"))
        current = entry.attempt
        lines.append(markup(f"{entry.line.text}\n"))
    note = f"The last {LOG_LINES} lines at most; all of it: runctl logs {record.run.run_id}"
    return markup(tag("pre", lines), _note(note))
