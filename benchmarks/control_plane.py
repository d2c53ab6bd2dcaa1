"""Count what the controller costs a run of 24 hours: `python -m benchmarks.control_plane`.

On a local target: a training that saves once, one that saves five times, and one look of the cost watch with four runs
and one without. What the second has more than the first, for each event that its machine put, is what an event costs;
the looks' difference, divided by four, is a run's share of a look. Both are multiplied by the known rates of 24 hours
and added to the first training. Counted are state transitions, events, invocations by their measured seconds and their
memory, and DynamoDB's request units by the sizes of the items that were asked for and written, indexes included. Logs,
metrics, what lies in the table, and objects in S3 stand on lines of their own. Ends with 1 when the sum is over its
limit. Seconds want a quiet machine.
"""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_cloud import REPOSITORY, BenchCloud
from runctl.local.machines.request_log import FILE_NAME
from runctl.model.names import Function
from runctl.policy import rates

LIMIT_USD: Final = Decimal("0.003")
DAY_S: Final = 86_400
TELL_INTERVAL_S: Final = 300
"""`runctl.agent.telling.TELL_INTERVAL_S`: one event of a machine in this time, after the first few."""
WATCH_INTERVAL_S: Final = 300
"""Default of the template's CostWatchRate."""
LIMIT_LOOKS: Final = 2
"""How often the one-time schedule looks in a run that nears its limit; at steady prices it is not moved."""
MEMORY_GIB: Final = Decimal("0.5")
"""`MemorySize` of every function."""

SAVES: Final = """\
# Saves as many checkpoints as it is told, two seconds apart, and sleeps on.
import os, pathlib, sys, time
for step in range(1, int(sys.argv[1]) + 1):
    time.sleep(2)
    part = pathlib.Path(os.environ["RUNCTL_CHECKPOINT_DIR"]) / f"step-{step}.txt.tmp"
    part.write_text("weights")
    part.rename(part.with_suffix(""))
    print("step", step, flush=True)
time.sleep(float(sys.argv[2]))
"""

RUNS_OF_A_LOOK: Final = 4
"""One run's share of a look is below what a reading can tell: as many are looked at, and divided by."""
BESIDE: Final = ("S3 writes", "S3 reads", "log KiB", "metric calls", "table KiB, a month")
"""Lines that are no part of the control plane's sum: objects, logs, metrics and storage."""
_KIB_OF_GB: Final = 1024 * 1024
_LOG_EVENT_BYTES: Final = 26
"""Beside its message (CloudWatch Logs API Reference, PutLogEvents)."""

_REPORT: Final = re.compile(r"^REPORT RequestId: .*?\tDuration: ([0-9.]+) ms", re.MULTILINE)
_BY_THE_CLOCK: Final = (Function.WATCH_COSTS, Function.REAP_MACHINES, Function.SEND_DIGEST)


@dataclass
class Count:
    """What was counted, in the units that are paid for."""

    units: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0
    """Of functions."""

    def less(self, other: "Count") -> "Count":
        """What this one has more."""
        units = {name: max(0, self.units[name] - other.units[name]) for name in self.units}
        return Count(Counter(units), max(0.0, self.seconds - other.seconds))

    def lines(self) -> dict[str, Decimal]:
        """What each part costs in US dollars."""
        seconds = Decimal(str(self.seconds))
        prices = {
            "state transitions": rates.TRANSITION_USD,
            "custom events": rates.EVENT_USD,
            "invocations": rates.LAMBDA_REQUEST_USD,
            "schedule firings": rates.SCHEDULE_USD,
            "DynamoDB write units": rates.DYNAMODB_WRITE_USD,
            "DynamoDB read units": rates.DYNAMODB_READ_USD,
            "S3 writes": rates.S3_PUT_USD,
            "S3 reads": rates.S3_GET_USD,
            "log KiB": rates.LOG_USD_PER_GB / _KIB_OF_GB,
            "metric calls": rates.PUT_METRIC_USD,
            "table KiB, a month": rates.DYNAMODB_USD_PER_GB_MONTH / _KIB_OF_GB,
        }
        lines = {name: Decimal(str(self.units[name])) * usd for name, usd in prices.items()}
        return lines | {"function seconds": seconds * MEMORY_GIB * rates.LAMBDA_GB_SECOND_USD}


def plus(*parts: tuple[Count, float]) -> Count:
    """The sum of counts, each taken so many times."""
    total: dict[str, float] = {}
    seconds = 0.0
    for count, times in parts:
        seconds += count.seconds * times
        for name, units in count.units.items():
            total[name] = total.get(name, 0) + units * times
    return Count(Counter(total), seconds)  # type: ignore[arg-type]


# -- DynamoDB's units ------------------------------------------------------------------------------------------------


def size_of(value: Mapping[str, Any]) -> float:
    """Bytes of an attribute value (DynamoDB Developer Guide, "DynamoDB item sizes and formats")."""
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode())
    if kind == "N":
        return len(held.strip("-").replace(".", "")) // 2 + 2
    if kind == "M":
        return 3 + sum(len(name.encode()) + size_of(each) + 1 for name, each in held.items())
    if kind == "L":
        return 3 + sum(size_of(each) + 1 for each in held)
    return 1


def item_size(item: Mapping[str, Any]) -> float:
    """Bytes of an item."""
    return sum(len(name.encode()) + size_of(value) for name, value in item.items())


class Units:
    """Adds up request units. Of an item that is updated the size is what it was put or read with last."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.written = 0.0
        self.read = 0.0
        self.of: Counter[str] = Counter()
        """Write units by kind of item."""

    @property
    def kept_bytes(self) -> float:
        """Of all items that were seen, and what DynamoDB adds to each for its index (100 bytes)."""
        return sum(item_size(item) + 100 for item in self._items.values())

    def note(self, operation: str, asked: Any, answered: Any) -> None:
        """Count one request."""
        if operation in ("TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"):
            actions = asked["TransactItems"] if operation == "TransactWriteItems" else [{operation[:-4]: asked}]
            for action in actions:
                ((verb, what),) = action.items()
                self._write(verb, what, 2 if operation == "TransactWriteItems" else 1)
        elif operation in ("GetItem", "Query"):
            found = answered.get("Items", [answered["Item"]] if answered.get("Item") else [])
            for item in found:
                self._remember(item)
            share = 1.0 if asked.get("ConsistentRead") else 0.5
            self.read += share * max(1, ceil(sum(map(item_size, found)) / 4_096))

    def _write(self, verb: str, what: Mapping[str, Any], times: int) -> None:
        if verb == "Put":
            item = what["Item"]
            before = self._items.get(_key(item))
            self._remember(item)
        elif verb == "ConditionCheck":
            return
        else:
            before = item = self._items.get(_key(what["Key"]), what["Key"])
        units = times * max(1, ceil(item_size(item) / 1_024)) + _index_units(before, item)
        self.written += units
        self.of[f"{_key(item)[0].partition('#')[0]} {_key(item)[1].partition('#')[0]}"] += round(units)

    def _remember(self, item: Mapping[str, Any]) -> None:
        if "pk" in item and "sk" in item:
            self._items[_key(item)] = item


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _index_units(before: Mapping[str, Any] | None, item: Mapping[str, Any]) -> float:
    """A write to an item that is in an index writes there what is projected, again where the key changes (DynamoDB
    Developer Guide, "Using Global Secondary Indexes", "Write operations")."""
    units = 0.0
    for name, whole in (("open", True), ("project", True), ("instance_id", False)):
        if name in item and ("created_at" in item or not whole):
            changed = before is None or before.get(name) != item[name]
            if whole or changed:
                units += max(1, ceil(item_size(item) / 1_024)) if whole else 1
        elif before is not None and name in before:
            units += max(1, ceil(item_size(before) / 1_024))
    return units


# -- counting --------------------------------------------------------------------------------------------------------


class Counting:
    """A cloud whose requests are noted."""

    def __init__(self, cloud: BenchCloud, state: Path) -> None:
        self.cloud = cloud
        self._path = state / FILE_NAME
        self._units = Units()
        self.watch_seconds = 0.0
        """Of the cost watch, between the last `start` and `stop`."""
        self._logs_before: dict[str, list[str]] = {}

    def start(self) -> None:
        """Count from now on."""
        self._path.write_text("")
        self._logs_before = self._reports()

    def stop(self) -> Count:
        """What was counted since `start`, but for state transitions. What the clock alone calls is left out."""
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        self._path.unlink()
        count = Count()
        before = (self._units.written, self._units.read, self._units.kept_bytes)
        for each in lines:
            operation = each["target"].rpartition(".")[2]
            if each["target"].startswith("DynamoDB_"):
                self._units.note(operation, each["asked"], each["answered"])
            elif operation == "PutEvents":
                count.units["custom events"] += len(each["asked"]["Entries"])
            elif each["service"] == "s3":
                count.units["S3 reads" if each["method"] in ("GET", "HEAD") else "S3 writes"] += 1
            elif each["service"] == "monitoring":
                count.units["metric calls"] += 1
        count.units["DynamoDB write units"] = round(self._units.written - before[0])
        count.units["DynamoDB read units"] = ceil(self._units.read - before[1])
        count.units["table KiB, a month"] = ceil((self._units.kept_bytes - before[2]) / 1_024)
        written = 0
        for name, messages in self._reports().items():
            new = messages[len(self._logs_before.get(name, [])) :]
            durations = [float(ms) / 1_000 for message in new for ms in _REPORT.findall(message)]
            if name.endswith(Function.WATCH_COSTS.value):
                self.watch_seconds = sum(durations)
            if not name.endswith(tuple(function.value for function in _BY_THE_CLOCK)):
                written += sum(len(message.encode()) + _LOG_EVENT_BYTES for message in new)
                count.units["invocations"] += len(durations)
                count.seconds += sum(durations)
        count.units["log KiB"] = ceil(written / 1_024)
        return count

    def _reports(self) -> dict[str, list[str]]:
        """What all functions and machines wrote, by log group."""
        logs = self.cloud.account().client("logs")
        return {
            group["logGroupName"]: [
                event["message"]
                for each in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
                for event in each["events"]
            ]
            for page in logs.get_paginator("describe_log_groups").paginate()
            for group in page["logGroups"]
        }


def count_run(counting: Counting, saves: int) -> Count:
    """Count one training, its end and its last events included."""
    counting.start()
    run = counting.cloud.wait(counting.cloud.start("saves.py", str(saves), "2"))
    time.sleep(3)
    count = counting.stop()
    count.units["state transitions"] = counting.cloud.account().transitions(run["execution_arn"])
    return count


def count_look(counting: Counting) -> Count:
    """Count one look of the cost watch."""
    account = counting.cloud.account()
    functions = account.client("lambda").list_functions()["Functions"]
    name = next(each["FunctionName"] for each in functions if each["FunctionName"].endswith(Function.WATCH_COSTS))
    counting.start()
    account.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    time.sleep(1)
    count = counting.stop()
    count.seconds = counting.watch_seconds
    return count


def main() -> int:
    """Count and tell; 1 when it is over the limit."""
    folder = REPOSITORY / ".runctl" / "bench" / "control-plane"
    cloud = BenchCloud(folder)
    (folder / "saves.py").write_text(SAVES)
    try:
        cloud.up()
        counting = Counting(cloud, folder / ".runctl" / "local")
        cloud.wait(cloud.start("saves.py", "1", "2"))  # not counted: functions start for the first time
        count_look(counting)
        once, five = count_run(counting, 1), count_run(counting, 5)
        time.sleep(10)  # EC2 says that the machines are gone
        count_look(counting)  # settles them
        without = count_look(counting)
        run_ids = [cloud.start("saves.py", "0", "150") for _ in range(RUNS_OF_A_LOOK)]
        for run_id in run_ids:
            _wait_until_it_trains(cloud, run_id)
        time.sleep(10)  # their first events are over
        count_look(counting)  # the first look at a run sets its schedule
        look = plus((count_look(counting).less(without), 1 / RUNS_OF_A_LOOK))
        for run_id in run_ids:
            cloud.runctl.ask("cancel", run_id, "--now")
    finally:
        cloud.down()
    return tell(once, five, look)


def _wait_until_it_trains(cloud: BenchCloud, run_id: str) -> None:
    deadline = time.monotonic() + 120
    while cloud.runctl.ask("status", run_id)["status"] != "RUNNING":
        if time.monotonic() > deadline:
            raise TimeoutError(run_id)
        time.sleep(0.5)


def tell(once: Count, five: Count, look: Count) -> int:
    """Print the table; answer the exit code."""
    more = five.less(once)
    events = more.units["custom events"]
    an_event = plus((more, 1 / events))
    limit_look = Count(Counter({"schedule firings": 1, "invocations": 1, "DynamoDB read units": 4}), an_event.seconds)
    day = plus(
        (once, 1), (an_event, DAY_S / TELL_INTERVAL_S), (look, DAY_S / WATCH_INTERVAL_S), (limit_look, LIMIT_LOOKS)
    )
    columns = {"saves once": once, "an event": an_event, "share of a look": look, "24 hours": day}
    print(f"{'':24}" + "".join(f"{name:>24}" for name in columns))
    for name in day.lines():
        row = ""
        for count in columns.values():
            units = count.seconds if name == "function seconds" else count.units[name]
            row += f"{units:>10.2f} ${count.lines()[name]:.7f}".rjust(24)
        print(f"{name:24}{row}")
    total = sum((usd for name, usd in day.lines().items() if name not in BESIDE), Decimal(0))
    skypilot = rates.SKYPILOT_CONTROLLER_USD_PER_HOUR * 24
    print(
        f"\ncontrol plane of 24 hours, without objects, logs, metrics and storage: ${total:.5f} (at most ${LIMIT_USD})"
    )
    print(f"SkyPilot's controller for as long: ${skypilot:.2f}")
    return 0 if total <= LIMIT_USD else 1


if __name__ == "__main__":
    sys.exit(main())
