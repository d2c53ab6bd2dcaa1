"""Ending a run: the same code for the state machine, for observers of runs that were stopped from outside, and for
the reaper. Everything here may be repeated."""

from dataclasses import dataclass
from datetime import datetime

from runctl.controller.departures import is_invisible_yet, is_ours
from runctl.controller.evidence import departure_of, end_attempt, look_again, settle, stored_ending
from runctl.controller.loading import load_run
from runctl.controller.money import plan_settlement
from runctl.controller.notices import tell
from runctl.controller.ports import Bucket, Clock, Machines, Notifications, RunStore, Schedules
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_run
from runctl.errors import MachineStillAlive, RunEnded
from runctl.model.attempt import Attempt
from runctl.model.decision import Conclusion, StepFailure
from runctl.model.ids import InstanceId, RunId
from runctl.model.notice import NoticeKind
from runctl.model.run import Run
from runctl.model.status import STATUS_OF_REASON, Reason
from runctl.model.timeline import TimelineKind
from runctl.policy import cost, sentences
from runctl.policy import hand_over as policy
from runctl.policy.endings import Ending, Evidence, classify, message_of
from runctl.policy.explanations import explain_end
from runctl.policy.recovery import NOT_AN_END


@dataclass(frozen=True)
class Concluding:
    """What ending a run needs, and handing one over."""

    runs: RunStore
    machines: Machines
    bucket: Bucket
    schedules: Schedules
    notifications: Notifications
    now: Clock


@dataclass(frozen=True)
class Verdict:
    """Why a run ends, when that is decided already."""

    reason: Reason
    text: str


def conclude(
    run_id: RunId, ports: Concluding, verdict: Verdict | None = None, *, failure: StepFailure | None = None
) -> Conclusion:
    """End a run once: its machines, its last attempt, its status; tell people; remove what it left.

    Without a verdict the facts of the current attempt, the stop request and what the state machine caught say why. A
    run that has ended keeps its ending; what an interrupted earlier invocation left undone is done.
    """
    runs, at = ports.runs, ports.now()
    run = load_run(runs, run_id)
    attempts = runs.attempts(run_id)
    if run.status.is_terminal:
        _end_machines(run, attempts, ports, at, reason=run.reason)
        _notify(run, attempts, ports)
    else:
        ending = _end_attempts(run, attempts, ports, at, verdict=verdict, failure=failure)
        verdict = verdict or _verdict(run, ending, failure)
        attempts = runs.attempts(run_id)
        # After the evidence was taken, before anybody reads that the run has ended.
        _end_machines(run, attempts, ports, at, reason=verdict.reason)
        try:
            run = until_written(lambda: _write_end(run_id, verdict, ports))
            _notify(run, runs.attempts(run_id), ports)
        except RunEnded:
            run = load_run(runs, run_id)  # somebody else concluded in between, and tells people
    _clean_up(run, attempts, ports)
    return conclusion_of(run)


def conclusion_of(run: Run) -> Conclusion:
    """How a run that has ended is shown in the console."""
    return Conclusion(status=run.status, reason=run.reason or Reason.CONTROLLER, cause=run.message)


def _end_machines(
    run: Run, attempts: tuple[Attempt, ...], ports: Concluding, at: datetime, *, reason: Reason | None
) -> None:
    """End whatever carries the run's tag, and what the attempts name though the tag is not visible yet. The machine of
    a success that keeps it stays.

    Raises MachineStillAlive for a machine that was launched a moment ago and that EC2 does not show yet.
    """
    views = {view.instance_id: view for view in ports.machines.machines_of_run(run.run_id)}
    hidden: list[Attempt] = []
    kept = kept_machine(run, attempts, reason)
    for attempt in attempts:
        if attempt.instance_id is not None and attempt.owns_live_machine and attempt.instance_id not in views:
            view = ports.machines.machine(attempt.instance_id)
            if view is not None:
                views[view.instance_id] = view
            elif is_ours(run, attempt) and is_invisible_yet(attempt, at):
                hidden.append(attempt)
    for instance_id in sorted(views):
        if instance_id not in (run.machine, kept) and not views[instance_id].state.is_final:
            ports.machines.terminate(instance_id)
    if hidden:
        raise MachineStillAlive(f"EC2 does not show the {sentences.machine(hidden[-1])} yet; it is ended when it does.")


def kept_machine(run: Run, attempts: tuple[Attempt, ...], reason: Reason | None) -> InstanceId | None:
    """The machine that lives on after a run that ended so; None when none does."""
    if run.spec.keep_machine_s is None or reason is not Reason.COMPLETED:
        return None
    # After a hand-over two attempts have this reason; the earlier one's machine is EC2's already.
    return next((attempt.instance_id for attempt in reversed(attempts) if attempt.reason is Reason.COMPLETED), None)


def _end_attempts(
    run: Run,
    attempts: tuple[Attempt, ...],
    ports: Concluding,
    at: datetime,
    *,
    verdict: Verdict | None,
    failure: StepFailure | None,
) -> Ending | None:
    """Give every attempt that is still open its reason; answers what the run's end rests on: how an earlier attempt
    ended the run, or else how the current one ended."""
    earlier = [attempt for attempt in attempts if attempt.number < run.attempt]
    closed = [_end_earlier(run, attempt, ports, at) if attempt.reason is None else attempt for attempt in earlier]
    current = next((attempt for attempt in attempts if attempt.number == run.attempt), None)
    if current is None:
        return None
    overall = policy.verdict(run, closed)
    ending = stored_ending(current)
    if ending is None:
        current, view = look_again(current, runs=ports.runs, machines=ports.machines, bucket=ports.bucket, at=at)
        trained = verdict is not None and verdict.reason is Reason.COMPLETED and overall is None
        evidence = Evidence(
            attempt=current,
            stop_request=run.stop_request,
            failure=failure,
            departure=departure_of(view),
            trained=trained,
        )
        ending = classify(evidence) if overall is None else policy.not_needed(current.number, overall)
        end_attempt(ports.runs, run.run_id, current.number, ending, at)
    return overall or ending


def _end_earlier(run: Run, attempt: Attempt, ports: Concluding, at: datetime) -> Attempt:
    attempt, view = look_again(attempt, runs=ports.runs, machines=ports.machines, bucket=ports.bucket, at=at)
    return settle(ports.runs, run, attempt.number, at, view)


def _verdict(run: Run, ending: Ending | None, failure: StepFailure | None) -> Verdict:
    """Why a run ends that no decision has ended. Where another machine would have followed, but what was to launch it
    broke, the fault is the controller's and not the lost machine's."""
    if ending is not None and ending.reason is Reason.COMPLETED:
        return Verdict(ending.reason, ending.text)
    request = run.stop_request
    broke = failure is not None or (request is not None and request.reason is Reason.CONTROLLER)
    if request is not None and request.reason is not Reason.CONTROLLER:
        return Verdict(request.reason, sentences.stop_requested(request))
    if ending is None:
        text = "The run ended before its first attempt." if request is None else sentences.stop_requested(request)
        return Verdict(Reason.CONTROLLER, text)
    if broke and ending.reason in NOT_AN_END:
        said = "" if failure is None else message_of(failure) or failure.Error
        text = f"{ending.text} No other machine followed: {said or 'the execution had ended.'}"
        return Verdict(Reason.CONTROLLER, text)
    return Verdict(ending.reason, ending.text)


def _write_end(run_id: RunId, verdict: Verdict, ports: Concluding) -> Run:
    """Write the terminal status and settle the run's money, in one write. Raises RunEnded when somebody else has."""
    run = load_run(ports.runs, run_id)
    if run.status.is_terminal:
        raise RunEnded(f"The run {run_id} has ended already: {run.status}.")
    at = ports.now()
    # Who was not admitted has been told how to go on.
    refused = verdict.reason is Reason.BUDGET and run.attempt == 0
    message = verdict.text if refused else explain_end(run_id, verdict.reason, verdict.text, run.checkpoint)
    ended = run.model_copy(
        update={
            "status": STATUS_OF_REASON[verdict.reason],
            "reason": verdict.reason,
            "message": message,
            "ended_at": at,
            "updated_at": at,
            "capacity_wait": run.capacity_wait if verdict.reason is Reason.CAPACITY else None,
        }
    )
    text = f"The run ended as {ended.status}: {message}"
    event = event_of_run(run_id, TimelineKind.CONCLUDED, at, text, data={"reason": verdict.reason.value})
    booking = plan_settlement(ended, ports.runs.attempts(run_id), ports.runs.budgets, at)
    return ports.runs.save_run(ended, [event], booking=booking)


def _notify(run: Run, attempts: tuple[Attempt, ...], ports: Concluding) -> None:
    at = ports.now()
    spent = cost.cost_sentence(cost.run_cost(attempts, at)) if attempts else "It launched no machine."
    text = f"{run.status}, {run.reason}.\n{run.message}\n{spent}"
    kind = NoticeKind(run.status.value.lower())
    if tell(run, kind, text, runs=ports.runs, notifications=ports.notifications, at=at):
        told = event_of_run(run.run_id, TimelineKind.NOTIFIED, at, "The topic's subscribers were told.")
        ports.runs.add_events([told])


def _clean_up(run: Run, attempts: tuple[Attempt, ...], ports: Concluding) -> None:
    for attempt in attempts:
        if attempt.instance_id is not None:
            ports.bucket.remove_job(attempt.instance_id, role_id=attempt.role_id)
    if run.stop_request is not None:
        ports.schedules.remove(run.run_id)
    if run.limits_looked_at is not None:
        ports.schedules.forget(run.run_id)
