"""Several runs beside one another: how they ended, in what they were asked differently, and their curves."""

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from runctl.client.documents import spec_document
from runctl.client.metrics import loss_name
from runctl.client.report.charts import TONES
from runctl.client.report.figures import all_metrics, last_of, least_of, mean_of, training_charts
from runctl.client.report.markup import Html, markup, tag
from runctl.client.report.record import RunRecord
from runctl.client.report.scales import short_text
from runctl.client.report.tables import Cell, table
from runctl.client.report.words import clock, lasted, status_words, usd

_NOT_TOLD: Final = frozenset({"code"})
"""Told in other words: code by its hash."""


def comparison(records: Sequence[RunRecord]) -> Html:
    """Write the part of the page that is about all of the runs."""
    charts = training_charts(records)
    curves = tag("div", charts, class_="charts") if charts else tag("p", "No training has told figures.", class_="note")
    return tag(
        "article",
        tag("header", tag("h1", f"{len(records)} runs compared"), class_="run"),
        tag("section", tag("h2", "Runs"), _overview(records)),
        tag("section", tag("h2", "Asked differently"), _differences(records)),
        tag("section", tag("h2", "Training"), curves),
    )


def _overview(records: Sequence[RunRecord]) -> Html:
    loss = loss_name(all_metrics(records))
    head = ["Run", "Ended as", "Started", "Took", "Attempts", "Steps"]
    head += [f"Last {loss}", f"Least {loss}"] if loss else []
    head += ["Mean throughput", "Cost", "Saved by spot"]
    rows: list[Html] = []
    for tone, record in enumerate(records):
        run = record.run
        step = run.progress.step if run.progress is not None else None
        cells = [clock(run.created_at), lasted(record.ended_at - run.created_at), str(len(record.attempts))]
        cells.append("" if step is None else f"{step:,}")
        cells += [_figure(last_of(record, loss)), _figure(least_of(record, loss))] if loss else []
        cells += [_figure(mean_of(record, "throughput")), usd(record.cost.accrued_usd), usd(record.cost.saved_usd)]
        key = tag("i", class_=f"key tone{tone % TONES}", style="display:inline-block;vertical-align:middle")
        name = tag("td", key, " ", tag("a", run.name, href=f"#{run.run_id}"), " ", tag("small", run.run_id))
        plain = [tag("td", cell, class_="exact") for cell in cells]
        rows.append(tag("tr", name, tag("td", status_words(run)), plain))
    top = tag("thead", tag("tr", [tag("th", title, scope="col") for title in head]))
    return tag("div", tag("table", top, tag("tbody", rows)), class_="scroll")


def _figure(value: float | None) -> str:
    return "" if value is None else short_text(value)


def _differences(records: Sequence[RunRecord]) -> Html:
    specs = [spec_document(record.run.spec) for record in records]
    for spec, record in zip(specs, records, strict=True):
        spec["code version"] = record.run.spec.code.sha256[:12]
    names = [name for name in specs[0] if name not in _NOT_TOLD and len({_text(spec[name]) for spec in specs}) > 1]
    if not names:
        return tag("p", "In nothing: same code, arguments, machines and limits.", class_="note")
    head = ["", *(record.run.name for record in records)]
    rows = [[Cell.exact(name.replace("_", " ")), *(Cell.wide(_text(spec[name])) for spec in specs)] for name in names]
    note = "Values of environment variables are neither shown nor compared."
    return markup(table(head, rows), tag("p", note, class_="note"))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(each) for each in cast("list[object]", value))
    return value if isinstance(value, str) else json.dumps(value)
