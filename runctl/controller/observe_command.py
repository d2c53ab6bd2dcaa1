"""Observe a command: a start command that failed or was never delivered becomes a fact."""

from typing import Any, Final

from runctl.controller.answers import answer_waiting, is_current
from runctl.controller.ports import RunStore, TaskTokens
from runctl.controller.timeline import event_of_attempt
from runctl.model.attempt import Fact, FactKind
from runctl.model.service_events import CommandEvent, CommandStatus
from runctl.model.timeline import TimelineKind
from runctl.policy.sentences import command_failed

_FAILURES: Final = frozenset(status.value for status in CommandStatus)


def observe_command(event: CommandEvent, *, runs: RunStore, tokens: TaskTokens) -> dict[str, Any]:
    """Write that the command which starts the training did not work.

    A command of which the id is not known yet may be that one: its failure can be told before its id is stored. The
    fact names the command, and only the start command's counts.
    """
    detail = event.detail
    answer = {"instance_id": detail.instance_id, "command_id": detail.command_id}
    owner = runs.attempt_of_machine(detail.instance_id) if detail.status in _FAILURES else None
    if owner is None:
        return {**answer, "outcome": "stranger"}
    run_id, number = owner
    run, attempt = runs.run(run_id), runs.attempt(run_id, number)
    if run is None or attempt is None or attempt.command_id not in (None, detail.command_id):
        return {**answer, "outcome": "stranger"}
    text = command_failed(attempt, detail.status)
    timeline = (
        event_of_attempt(attempt, TimelineKind.COMMAND_FAILED, event.time, text)
        if is_current(run, attempt)
        else event_of_attempt(attempt, TimelineKind.LATE_EVIDENCE, event.time, text, detail=FactKind.COMMAND_FAILED)
    )
    fact = Fact(at=event.time, data={"command_id": detail.command_id, "status": detail.status})
    runs.record_fact(run_id, number, FactKind.COMMAND_FAILED, fact, timeline)
    woken = answer_waiting(run_id, number, runs=runs, tokens=tokens)
    return {**answer, "run_id": run_id, "attempt": number, "outcome": "woken" if woken else "nothing"}
