"""EventBridge delivers at least once and in no order: what is told twice, late or backwards changes nothing."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from runctl.model.agent_event import AgentEventKind
from runctl.model.base import iso
from runctl.model.service_events import MachineEventKind
from tests.local.runs.cloud import Cloud
from tests.local.runs.deliver import Delivery

pytestmark = pytest.mark.local_cloud

ONCE = {"ready", "training_started", "training_ended", "machine_gone", "interruption_warning", "rebalance", "concluded"}


@pytest.fixture(scope="module")
def delivery(cloud: Cloud) -> Delivery:
    """Deliver to the cloud of all tests."""
    return Delivery(cloud)


def _told_twice(cloud: Cloud, run_id: str) -> dict[tuple[str, int | None], int]:
    """Timeline events that may stand once an attempt, and stand more often."""
    told = Counter((event["kind"], event["attempt"]) for event in cloud.events(run_id) if event["kind"] in ONCE)
    return {key: count for key, count in told.items() if count > 1}


def test_each_event_delivered_twice_is_told_once(cloud: Cloud, delivery: Delivery) -> None:
    run_id = cloud.train("count.py", "40", "0.1", options=("--spot",))
    machine = cloud.machine_in_state(run_id, "running")
    cloud.wait_for_event(run_id, "checkpoint_saved")
    started = {"started_at": iso(datetime.now(UTC)), "log_stream": f"{run_id}/0001"}

    for _ in range(2):
        delivery.machine_event(MachineEventKind.STATE_CHANGE, machine, state="pending")
        delivery.machine_event(MachineEventKind.STATE_CHANGE, machine, state="running")
        delivery.machine_event(MachineEventKind.REBALANCE, machine)
        delivery.agent_event(delivery.signed(run_id, 1, AgentEventKind.MACHINE_READY, {}))
        delivery.agent_event(delivery.signed(run_id, 1, AgentEventKind.TRAINING_STARTED, started))
    run = cloud.wait_for_end(run_id)
    delivery.agent_event(delivery.final_marker(run_id))

    assert (run["status"], len(run["attempts"])) == ("SUCCEEDED", 1), cloud.story(run_id)
    assert _told_twice(cloud, run_id) == {}
    assert "rebalance" in {event["kind"] for event in cloud.events(run_id)}


def test_an_interruption_told_three_times_is_one(cloud: Cloud, delivery: Delivery) -> None:
    run_id = cloud.train("count.py", "60", "0.1", options=("--spot",))
    machine = cloud.machine_in_state(run_id, "running")
    cloud.wait_for_event(run_id, "checkpoint_saved")

    cloud.local.interrupt(machine, 4.0)
    for _ in range(2):
        delivery.machine_event(MachineEventKind.WARNING, machine, **{"instance-action": "terminate"})
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert [attempt["reason"] for attempt in run["attempts"]] == ["SPOT_INTERRUPTION", "COMPLETED"]
    assert _told_twice(cloud, run_id) == {}


def test_news_of_an_earlier_machine_leave_the_run_alone(cloud: Cloud, delivery: Delivery) -> None:
    run_id = cloud.train("count.py", "70", "0.1", options=("--spot",))
    first = cloud.machine_in_state(run_id, "running")
    cloud.wait_for_event(run_id, "checkpoint_saved")
    cloud.local.interrupt(first, 1.0)
    # While the first machine saves in its notice its word still counts.
    cloud.wait_until(
        lambda: [attempt["reason"] for attempt in cloud.status(run_id)["attempts"]] == ["SPOT_INTERRUPTION", None],
        "the end of the first attempt, with the second there",
    )
    failure = {"why": "exited", "exit_code": 1, "ended_at": iso(datetime.now(UTC)), "last_lines": ["late news"]}

    delivery.agent_event(delivery.signed(run_id, 1, AgentEventKind.TRAINING_ENDED, failure))
    delivery.machine_event(MachineEventKind.STATE_CHANGE, first, state="terminated")
    delivery.machine_event(MachineEventKind.WARNING, first, **{"instance-action": "terminate"})
    delivery.machine_event(MachineEventKind.STATE_CHANGE, first, state="running")
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert [attempt["reason"] for attempt in run["attempts"]] == ["SPOT_INTERRUPTION", "COMPLETED"]


def test_the_end_told_before_the_start_is_the_end(cloud: Cloud, delivery: Delivery) -> None:
    run_id = cloud.train("deaf.py")
    cloud.machine_in_state(run_id, "running")
    cloud.wait_for_event(run_id, "command_sent")
    now = datetime.now(UTC)
    ended = {"why": "exited", "exit_code": 0, "ended_at": iso(now)}
    started = {"started_at": iso(now - timedelta(seconds=9)), "log_stream": f"{run_id}/0001"}

    delivery.agent_event(delivery.signed(run_id, 1, AgentEventKind.TRAINING_ENDED, ended))
    delivery.agent_event(delivery.signed(run_id, 1, AgentEventKind.TRAINING_STARTED, started))
    run = cloud.wait_for_end(run_id)
    machine = run["attempts"][0]["instance_id"]

    assert (run["status"], run["reason"]) == ("SUCCEEDED", "COMPLETED"), cloud.story(run_id)
    cloud.wait_until(lambda: machine not in cloud.live_machines(), "the machine's end")
    assert cloud.status(run_id)["status"] == "SUCCEEDED"


def test_nothing_that_comes_after_the_end_changes_it(cloud: Cloud, delivery: Delivery) -> None:
    run_id = cloud.train("fail.py")
    before = cloud.wait_for_end(run_id)
    machine = before["attempts"][0]["instance_id"]
    cloud.wait_until(lambda: machine not in cloud.live_machines(), "the machine's end")
    success = {"why": "exited", "exit_code": 0, "ended_at": iso(datetime.now(UTC))}

    delivery.agent_event(delivery.signed(run_id, 1, AgentEventKind.TRAINING_ENDED, success))
    delivery.machine_event(MachineEventKind.WARNING, machine, **{"instance-action": "terminate"})
    delivery.machine_event(MachineEventKind.STATE_CHANGE, machine, state="terminated")
    after = cloud.status(run_id)

    assert (after["status"], after["reason"], after["ended_at"]) == ("FAILED", "USER_ERROR", before["ended_at"])
    assert after["attempts"][0]["exit_code"] == 3


def test_an_event_that_no_machine_of_ours_signed_is_dropped(cloud: Cloud, delivery: Delivery) -> None:
    run_id = cloud.train("count.py", "30", "0.1")
    cloud.wait_for_event(run_id, "training_started")
    forged = delivery.signed(
        run_id, 1, AgentEventKind.TRAINING_ENDED, {"why": "exited", "exit_code": 9, "ended_at": iso(datetime.now(UTC))}
    )

    delivery.agent_event({**forged, "data": {**forged["data"], "exit_code": 1}})
    delivery.agent_event({**forged, "signature": "0" * 64})
    run = cloud.wait_for_end(run_id)

    assert (run["status"], run["attempts"][0]["exit_code"]) == ("SUCCEEDED", 0), cloud.story(run_id)


def test_events_of_machines_that_are_not_ours_are_dropped(cloud: Cloud, delivery: Delivery) -> None:
    stranger = "i-0123456789abcdef0"

    delivery.machine_event(MachineEventKind.WARNING, stranger, **{"instance-action": "terminate"})
    delivery.machine_event(MachineEventKind.STATE_CHANGE, stranger, state="terminated")

    assert stranger not in str(cloud.runctl("ps").data)
