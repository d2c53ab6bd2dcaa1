"""Handing a run over: tell the old machine that another waits for it, and let that one train when the old one is out.

Everything here may be repeated, and is: with every word of the waiting agent, and with every word of the old machine's
end.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from runctl.controller.departures import end_machine
from runctl.controller.evidence import look_again, settle
from runctl.controller.loading import load_run
from runctl.controller.ports import Bucket, Machines, RunStore
from runctl.controller.resume_points import offered_points
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_attempt
from runctl.model.attempt import Attempt, Fact, FactKind
from runctl.model.ids import AttemptNumber, RunId
from runctl.model.job import HandOver, ReplacementReady
from runctl.model.run import Run
from runctl.model.timeline import TimelineKind
from runctl.policy import hand_over as policy
from runctl.policy.runtime import runtime_left


def close_attempts(
    run: Run, attempts: Sequence[Attempt], *, runs: RunStore, machines: Machines, bucket: Bucket, at: datetime
) -> tuple[Attempt, ...]:
    """Give those of these attempts that are out their reason; answers all of them as they are then.

    An attempt that is out because its notice has passed, though EC2 never said that its machine is going, is ended.
    """
    return tuple(
        _close(run, attempt, runs=runs, machines=machines, bucket=bucket, at=at) if attempt.reason is None else attempt
        for attempt in attempts
    )


def _close(run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, bucket: Bucket, at: datetime) -> Attempt:
    attempt, view = look_again(attempt, runs=runs, machines=machines, bucket=bucket, at=at)
    if not policy.is_out(attempt, at):
        return attempt
    if not attempt.is_settled:
        end_machine(run, attempt, runs=runs, machines=machines, at=at)
    return settle(runs, run, attempt.number, at, view)


def tell_replacement_is_ready(
    run: Run, waiting: Attempt, attempts: Sequence[Attempt], *, bucket: Bucket, at: datetime
) -> None:
    """Tell each machine that still may train that another one waits for it to save and leave."""
    word = ReplacementReady(run_id=run.run_id, attempt=waiting.number)
    for attempt in attempts:
        if attempt.instance_id is not None and not policy.is_out(attempt, at):
            bucket.put_replacement_ready(attempt.instance_id, word, role_id=attempt.role_id)


def hand_over(run_id: RunId, *, runs: RunStore, machines: Machines, bucket: Bucket, at: datetime) -> bool:
    """Let the current attempt's machine train if it waits for that and no earlier one trains any more.

    Tells whether its fence was opened now. From the first write on what an earlier machine saves counts no more, and
    only then is it decided what to resume from.
    """
    run = load_run(runs, run_id)
    attempts = runs.attempts(run_id)
    waiting = next((attempt for attempt in attempts if attempt.number == run.attempt), None)
    if run.status.is_terminal or run.stop_request is not None or waiting is None or not _waits(waiting):
        return False
    earlier = [attempt for attempt in attempts if attempt.number < waiting.number]
    earlier = list(close_attempts(run, earlier, runs=runs, machines=machines, bucket=bucket, at=at))
    fence = policy.fence(earlier, at)
    if not fence.is_open or policy.verdict(run, earlier) is not None:
        tell_replacement_is_ready(run, waiting, earlier, bucket=bucket, at=at)
        return False
    run = take_over_from_earlier(runs, run_id, waiting.number, at)
    if run.attempt != waiting.number or waiting.instance_id is None:
        return False
    points = offered_points(run, waiting, runs=runs, bucket=bucket)
    left_s = int(runtime_left(run.spec, earlier, at) // timedelta(seconds=1))
    go = HandOver(run_id=run_id, attempt=waiting.number, resume_points=points, max_runtime_s=max(1, left_s))
    bucket.put_go(waiting.instance_id, go, role_id=waiting.role_id)
    since = f" from {_name(points[0].step, points[0].name)}" if points else " from the beginning"
    text = f"{fence.text} Attempt {waiting.number} trains on{since}."
    event = event_of_attempt(waiting, TimelineKind.HANDED_OVER, at, text, data={"why": fence.text})
    data = {"resume_points": [point.manifest_key for point in points]}
    return runs.record_fact(run_id, waiting.number, FactKind.FENCE_OPENED, Fact(at=at, data=data), event)


def take_over_from_earlier(runs: RunStore, run_id: RunId, number: AttemptNumber, at: datetime) -> Run:
    """Write that what earlier attempts save counts no more; answers the run. Nothing for an attempt that is not the
    current one any more."""

    def write() -> Run:
        run = load_run(runs, run_id)
        if run.hand_over_from is None or run.attempt != number or run.status.is_terminal:
            return run
        return runs.save_run(run.model_copy(update={"hand_over_from": None, "updated_at": at}))

    return until_written(write)


def _waits(attempt: Attempt) -> bool:
    return FactKind.WAITING in attempt.facts and FactKind.FENCE_OPENED not in attempt.facts and not attempt.is_settled


def _name(step: int | None, name: str) -> str:
    return name if step is None else f"step {step}"
