"""Decide what next: gather the evidence, end the attempt with one reason, and launch, wait or conclude."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from runctl.controller.admit_run import SECRET_BYTES
from runctl.controller.departures import end_machine, is_invisible_yet, is_ours
from runctl.controller.evidence import departure_of, end_attempt, look_again, stored_ending
from runctl.controller.hand_over import close_attempts
from runctl.controller.loading import load_run
from runctl.controller.notices import tell
from runctl.controller.ports import Bucket, Clock, Commands, Machines, Notifications, RunStore
from runctl.controller.timeline import event_of_attempt
from runctl.errors import MachineStillAlive, RunctlError
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.base import iso
from runctl.model.decision import Action, Decision, StepState
from runctl.model.ids import AttemptNumber
from runctl.model.machine import MachineState, MachineView
from runctl.model.notice import NoticeKind
from runctl.model.run import Run
from runctl.model.status import Reason, RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy import hand_over, recovery, refusals, sentences
from runctl.policy.budget_limits import has_money_for_overlap
from runctl.policy.capacity import whole_seconds
from runctl.policy.endings import HEARTBEAT_TIMEOUT, TIMEOUT, Ending, Evidence, classify
from runctl.policy.resume import attempts_with_progress

_SECOND = timedelta(seconds=1)


def decide_next(
    state: StepState,
    *,
    runs: RunStore,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    notifications: Notifications,
    now: Clock,
) -> dict[str, Any]:
    """Decide what follows the end of the current attempt; a repeated invocation answers the same.

    Raises MachineStillAlive while EC2 does not say that the old machine is going and another is to be launched.
    """
    run = load_run(runs, state.run_id)
    number = state.current_attempt
    if run.status.is_terminal:
        return _answer(Action.CONCLUDE, number, run.reason or Reason.CONTROLLER, run.message)
    at = now()
    attempt = runs.attempt(run.run_id, number)
    if attempt is None:
        return _before_any_attempt(run, state, at)
    if run.attempt > number:
        return _again(run, attempt, runs, at)
    earlier = _earlier(run, number, runs=runs, machines=machines, bucket=bucket, at=at)
    verdict = hand_over.verdict(run, earlier)
    if verdict is not None:
        end_attempt(runs, run.run_id, number, hand_over.not_needed(number, verdict), at)
        return _answer(Action.CONCLUDE, number, verdict.reason, verdict.text)
    attempt, view = look_again(attempt, runs=runs, machines=machines, bucket=bucket, at=at)
    ending = stored_ending(attempt) or classify(
        Evidence(
            attempt=attempt,
            stop_request=run.stop_request,
            failure=state.error,
            machine_state=None if view is None else view.state,
            view=view,
            console=_read_console(state, attempt, machines),
            departure=departure_of(view),
            online=_ask_ssm(state, attempt, commands),
        )
    )
    situation = _situation(run, (*earlier, attempt), ending, machines=machines, bucket=bucket, at=at)
    decision = recovery.decide(situation, at)
    if decision.action is Action.CONCLUDE:
        _let_them_save(run, situation.attempts, decision, at)
    needs_new_attempt = decision.action is Action.LAUNCH or (
        decision.action is Action.WAIT and attempt.instance_id is not None and not ending.is_passing
    )
    hands_over_now = needs_new_attempt and attempt.hands_over
    if (decision.action is Action.CONCLUDE or needs_new_attempt) and not hands_over_now:
        attempt = end_attempt(runs, run.run_id, number, ending, at)
    if needs_new_attempt:
        if not hands_over_now:
            _make_sure_it_is_going(run, attempt, runs=runs, machines=machines, at=at)
        run = _begin_next(run, attempt, decision, runs=runs, at=at)
        number = run.attempt
    elif decision.action is Action.WAIT:
        _write_wait(run, attempt, decision, runs=runs, at=at)
    if decision.tell:
        _tell(run, decision, runs=runs, notifications=notifications, at=at)
    wait_s = int(decision.delay // _SECOND)
    return _answer(decision.action, number, decision.reason, decision.text, wait_s)


def _tell(
    run: Run,
    decision: recovery.RecoveryDecision,
    *,
    runs: RunStore,
    notifications: Notifications,
    at: datetime,
) -> None:
    """Tell people, once in a row of waits, that no machine is to be had, or that the run is paid for otherwise now."""
    wait = decision.capacity_wait
    kind = NoticeKind.NO_CAPACITY if decision.fell_back_at is None else NoticeKind.FELL_BACK
    next_try = "" if wait is None else f"\nSee what is tried: runctl status {run.run_id}"
    detail = "" if wait is None or kind is NoticeKind.FELL_BACK else iso(wait.waiting_since)
    text = f"{decision.text}{next_try}"
    tell(run, kind, text, runs=runs, notifications=notifications, at=at, detail=detail)


def _answer(action: Action, number: AttemptNumber, reason: Reason, text: str, wait_s: int = 0) -> dict[str, Any]:
    decision = Decision(action=action, attempt=number, reason=reason, wait_s=wait_s, text=text)
    return decision.model_dump(mode="json")


def _again(run: Run, attempt: Attempt, runs: RunStore, at: datetime) -> dict[str, Any]:
    """Answer what an earlier invocation decided, which wrote the next attempt and was not heard of: what it waited for
    is still to be waited for."""
    reason = attempt.reason or (Reason.SPOT_INTERRUPTION if attempt.is_draining else Reason.CONTROLLER)
    following = runs.attempt(run.run_id, run.attempt)
    not_before = None if following is None else following.launch_not_before
    if not_before is None or not_before <= at:
        return _answer(Action.LAUNCH, run.attempt, reason, attempt.evidence)
    return _answer(Action.WAIT, run.attempt, reason, run.message, whole_seconds(not_before - at) // _SECOND)


def _before_any_attempt(run: Run, state: StepState, at: datetime) -> dict[str, Any]:
    """`Admit run` failed: an attempt that never came to be has no facts, only the error."""
    nobody = Attempt(run_id=run.run_id, number=state.current_attempt, created_at=at, secret="")
    ending = classify(Evidence(attempt=nobody, stop_request=run.stop_request, failure=state.error))
    reason = ending.reason if run.stop_request is None else run.stop_request.reason
    return _answer(Action.CONCLUDE, state.current_attempt, reason, ending.text)


def _ask_ssm(state: StepState, attempt: Attempt, commands: Commands) -> bool | None:
    """Ask SSM about a machine that is silent; otherwise its answer explains nothing."""
    if state.error is None or state.error.Error not in (HEARTBEAT_TIMEOUT, TIMEOUT) or attempt.instance_id is None:
        return None
    return commands.is_online(attempt.instance_id)


def _read_console(state: StepState, attempt: Attempt, machines: Machines) -> str | None:
    """Read what a machine printed that did not become reachable. It is there to be told, and keeps nothing waiting."""
    if state.error is None or state.error.Error != TIMEOUT or attempt.instance_id is None or not _awaited(attempt):
        return None
    try:
        return machines.console_output(attempt.instance_id)
    except RunctlError:
        return None


def _awaited(attempt: Attempt) -> bool:
    return Wait.READY in attempt.tokens and Wait.TRAIN not in attempt.tokens


def _earlier(
    run: Run, number: AttemptNumber, *, runs: RunStore, machines: Machines, bucket: Bucket, at: datetime
) -> tuple[Attempt, ...]:
    """Read the attempts before this one, those that are still handing over as they are now."""
    if number == 1:
        return ()
    found = [attempt for attempt in runs.attempts(run.run_id) if attempt.number < number]
    return close_attempts(run, found, runs=runs, machines=machines, bucket=bucket, at=at)


def _let_them_save(run: Run, attempts: Sequence[Attempt], decision: recovery.RecoveryDecision, at: datetime) -> None:
    """A run is not concluded, which ends its machines, while one that is being taken back may still save or finish.

    Raises MachineStillAlive, unless the run is over or somebody asked for its end at once.
    """
    if decision.reason is Reason.COMPLETED or (run.stop_request is not None and run.stop_request.now):
        return
    saving = next((each for each in attempts if each.hands_over and not hand_over.is_out(each, at)), None)
    if saving is not None:
        raise MachineStillAlive(f"The {sentences.machine(saving)} is being taken back and may still save.")


def _situation(
    run: Run, attempts: tuple[Attempt, ...], ending: Ending, *, machines: Machines, bucket: Bucket, at: datetime
) -> recovery.Situation:
    """Read what the decision rests on, and nothing that it does not ask for."""
    *earlier, attempt = attempts
    progressed: frozenset[AttemptNumber] = frozenset()
    if ending.reason in recovery.LAUNCH_AGAIN and any(FactKind.STARTED in each.facts for each in attempts):
        since = None if run.resumed_from is None else run.resumed_from.step
        progressed = attempts_with_progress(bucket.manifests(run.run_id), since)
    refused = () if attempt.launch is None else refusals.refusal_sentences(attempt.launch.errors)
    return recovery.Situation(
        run=run,
        attempts=attempts,
        ending=ending,
        progressed=progressed,
        refusals=refused,
        overlap_affordable=has_money_for_overlap(run, attempts, at),
        own_machine_going=ending.reason is Reason.QUOTA and _holds_quota(tuple(earlier), machines),
    )


def _holds_quota(earlier: tuple[Attempt, ...], machines: Machines) -> bool:
    """Whether the last machine of this run is not yet terminated; until then it counts against the quota."""
    last = next((attempt for attempt in reversed(earlier) if attempt.instance_id is not None), None)
    if last is None or last.instance_id is None:
        return False
    view = machines.machine(last.instance_id)
    return view is not None and view.state is not MachineState.TERMINATED


def _make_sure_it_is_going(run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, at: datetime) -> None:
    """No other machine may train before this one cannot any more: EC2 says that it is going, or its agent reported the
    training's end.

    A warned machine that has reported its end is left to EC2, which does not charge for a spot machine that it
    interrupts in its first hour (docs/adr/0005).
    """
    if attempt.instance_id is None or not is_ours(run, attempt) or FactKind.GONE in attempt.facts:
        return
    if attempt.is_draining and FactKind.ENDED in attempt.facts:
        return
    view = end_machine(run, attempt, runs=runs, machines=machines, at=at)
    if not _is_going(view, attempt, at):
        raise MachineStillAlive(f"EC2 does not yet say that the {sentences.machine(attempt)} is going.")


def _is_going(view: MachineView | None, attempt: Attempt, at: datetime) -> bool:
    return not is_invisible_yet(attempt, at) if view is None else view.state.is_going


def _begin_next(run: Run, ended: Attempt, decision: recovery.RecoveryDecision, *, runs: RunStore, at: datetime) -> Run:
    """Write the next attempt and point the run to it."""
    attempt = Attempt(
        run_id=run.run_id,
        number=AttemptNumber(ended.number + 1),
        created_at=at,
        secret=secrets.token_hex(SECRET_BYTES),
        launch_not_before=at + decision.delay if decision.action is Action.WAIT else None,
    )
    recovering = run.model_copy(
        update={
            "status": RunStatus.RECOVERING,
            "attempt": attempt.number,
            "message": decision.text,
            "capacity_wait": decision.capacity_wait,
            "hand_over_from": _hands_over(run, ended),
            "fell_back_at": run.fell_back_at or decision.fell_back_at,
            "updated_at": at,
        }
    )
    event = event_of_attempt(
        attempt, TimelineKind.RECOVERING, at, decision.text, data={"reason": decision.reason.value}
    )
    return runs.begin_attempt(recovering, attempt, [event])


def _hands_over(run: Run, last: Attempt) -> AttemptNumber | None:
    """Whose checkpoints still count. One that was interrupted before its own fence opened never trained, and the one
    that it waited for still may."""
    if run.hand_over_from is not None:
        return run.hand_over_from
    return last.number if last.hands_over else None


def _write_wait(
    run: Run, attempt: Attempt, decision: recovery.RecoveryDecision, *, runs: RunStore, at: datetime
) -> None:
    """Write that the run waits, until when, and what AWS answered."""
    waiting = run.model_copy(
        update={
            "message": decision.text,
            "capacity_wait": decision.capacity_wait,
            "fell_back_at": run.fell_back_at or decision.fell_back_at,
            "updated_at": at,
        }
    )
    wait = decision.capacity_wait
    tries = 0 if wait is None else wait.tries
    event = event_of_attempt(
        attempt,
        TimelineKind.WAITING_FOR_CAPACITY,
        at,
        decision.text,
        detail=f"{tries:04d}",
        data={"refusals": [] if wait is None else list(wait.refusals), "tell": decision.tell},
    )
    runs.save_run(waiting, [event])
