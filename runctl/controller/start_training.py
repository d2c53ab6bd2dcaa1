"""Start the training: choose what to resume from, write the hand-off, keep the token, send the command once."""

from datetime import datetime, timedelta
from typing import Any

from runctl.controller.agent_commands import send_start, send_stop
from runctl.controller.answers import answer_waiting
from runctl.controller.departures import record_departure
from runctl.controller.hand_over import close_attempts, take_over_from_earlier
from runctl.controller.kept_packages import PackageShelf, offered_packages
from runctl.controller.loading import load_attempt, load_open_run
from runctl.controller.moves import move
from runctl.controller.ports import Bucket, Clock, Commands, Machines, RunStore, TaskTokens
from runctl.controller.resume_points import offered_points
from runctl.controller.settings import ControllerSettings
from runctl.controller.stale import until_written
from runctl.controller.timeline import event_of_attempt
from runctl.errors import ConfigurationError, StopRequested
from runctl.model import keys
from runctl.model.attempt import Attempt, FactKind, Wait
from runctl.model.decision import StepState
from runctl.model.ids import InstanceId, TaskToken
from runctl.model.job import AgentJob, ResumePoint
from runctl.model.run import Run
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy import hand_over, sentences
from runctl.policy.facts import Departure
from runctl.policy.runtime import runtime_left
from runctl.policy.waiting import is_start_command


def start_training(
    state: StepState,
    task_token: TaskToken,
    *,
    runs: RunStore,
    tokens: TaskTokens,
    machines: Machines,
    commands: Commands,
    bucket: Bucket,
    packages: PackageShelf,
    settings: ControllerSettings,
    now: Clock,
    turn: str = "",
) -> dict[str, Any]:
    """Hand the run over to the machine's agent. The command goes out last, for after it there is no way back.

    Raises StopRequested for a run that was asked to stop before, CheckpointMissing for one that resumes another of
    which nothing is left, and MachineNotReady when SSM does not know the machine. A repeated invocation replaces token
    and hand-off, from which the agent takes its new token, and sends no second start command; a stop that an earlier
    one could not pass on is passed on. An invocation that a later one has overtaken (`turn`) does nothing.
    """
    run = load_open_run(runs, state.run_id)
    attempt = load_attempt(runs, run.run_id, state.current_attempt)
    instance_id = attempt.instance_id
    if instance_id is None:
        raise ConfigurationError(f"Attempt {attempt.number} of run {run.run_id} has no machine to train on.")
    if run.stop_request is not None and attempt.command_id is None:
        raise StopRequested(sentences.stop_requested(run.stop_request))
    at = now()
    if not runs.store_token(run.run_id, attempt.number, Wait.TRAIN, task_token, turn):
        return {"run_id": run.run_id, "attempt": attempt.number, "answered": False, "overtaken": True}
    if FactKind.STARTED not in attempt.facts:
        preparing = f"The {sentences.machine(attempt)} prepares code and environment."
        run = move(runs, run, RunStatus.PREPARING, preparing, at, capacity_wait=None)
    must_fence = _must_fence(run, attempt, runs=runs, machines=machines, bucket=bucket, at=at)
    points = () if must_fence else offered_points(run, attempt, runs=runs, bucket=bucket)
    job = _job(run, attempt, instance_id, points, runs=runs, bucket=bucket, settings=settings, at=at)
    changed = {"must_fence": must_fence, **_packages(run, attempt, instance_id, runs=runs, packages=packages)}
    _hand_off(job.model_copy(update=changed), attempt.role_id, runs=runs, bucket=bucket)
    _look(attempt, instance_id, runs=runs, machines=machines, at=at)
    answered = answer_waiting(run.run_id, attempt.number, runs=runs, tokens=tokens)
    if not answered:
        if attempt.command_id is None:
            attempt = _send(attempt, points, runs=runs, commands=commands, at=at)
        answered = _catch_up(attempt, runs=runs, tokens=tokens, commands=commands)
    return {
        "run_id": run.run_id,
        "attempt": attempt.number,
        "command_id": attempt.command_id,
        "resume_points": [point.manifest_key for point in points],
        "answered": answered,
    }


def _job(
    run: Run,
    attempt: Attempt,
    instance_id: InstanceId,
    points: tuple[ResumePoint, ...],
    *,
    runs: RunStore,
    bucket: Bucket,
    settings: ControllerSettings,
    at: datetime,
) -> AgentJob:
    return AgentJob(
        run_id=run.run_id,
        attempt=attempt.number,
        instance_id=instance_id,
        task_token=attempt.tokens.get(Wait.TRAIN, TaskToken("")),
        secret=attempt.secret,
        region=settings.region,
        bucket=settings.bucket,
        bus_name=settings.bus_name,
        log_group=settings.machine_log_group,
        log_stream=keys.log_stream(run.run_id, attempt.number),
        metrics_stream=keys.metrics_stream(run.run_id, attempt.number),
        prefix=bucket.prefix_of(run.run_id, attempt.number, instance_id, role_id=attempt.role_id),
        code=run.spec.code,
        script=run.spec.script,
        module=run.spec.module,
        command=run.spec.command,
        args=run.spec.args,
        environment=run.spec.environment,
        secrets=run.spec.secrets,
        setup=run.spec.setup,
        image=run.spec.image,
        data=run.spec.data,
        data_mode=run.spec.data_mode,
        output_dir=run.spec.output_dir,
        keep_machine=run.machine is not None,
        keep_machine_on_success=run.machine is None and run.spec.keep_machine_s is not None,
        resume_points=points,
        keep_checkpoints=run.spec.keep_checkpoints,
        verify_checkpoints=run.spec.verify_checkpoints,
        on_notice=run.spec.on_notice,
        max_runtime_s=_runtime_left_s(run, attempt, runs=runs, at=at),
        save_limit_s=run.spec.save_limit_s,
        heartbeat_interval_s=run.spec.heartbeat_interval_s,
        dead_man_s=settings.dead_man_s,
    )


def _packages(
    run: Run, attempt: Attempt, instance_id: InstanceId, *, runs: RunStore, packages: PackageShelf
) -> dict[str, Any]:
    """What is offered to install from, and where this machine may leave what it installs: a machine that was given is
    there for the next run itself."""
    prefix = packages.prefix_of(run.run_id, attempt.number, instance_id, role_id=attempt.role_id)
    return {
        "packages_prefix": "" if run.machine is not None else prefix,
        "kept_packages": offered_packages(run, attempt, runs=runs, packages=packages),
    }


def _hand_off(job: AgentJob, role_id: str | None, *, runs: RunStore, bucket: Bucket) -> None:
    """Write the hand-off with the token that is stored, and again when another was stored meanwhile: of two invocations
    that overlap, both leave the later one's token for the agent."""
    token: TaskToken | None = None
    while (stored := load_attempt(runs, job.run_id, job.attempt).tokens.get(Wait.TRAIN)) != token:
        token = stored
        if stored is not None:
            bucket.put_job(job.instance_id, job.model_copy(update={"task_token": stored}), role_id=role_id)


def _must_fence(
    run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, bucket: Bucket, at: datetime
) -> bool:
    """Whether an earlier machine of the run may still train, so that this one must wait for its hand-over.

    If none may, what they saved is all that counts from now on.
    """
    if attempt.number == 1:
        return False
    earlier = [each for each in runs.attempts(run.run_id) if each.number < attempt.number]
    earlier = list(close_attempts(run, earlier, runs=runs, machines=machines, bucket=bucket, at=at))
    if not hand_over.fence(earlier, at).is_open:
        return True
    take_over_from_earlier(runs, run.run_id, attempt.number, at)
    return False


def _runtime_left_s(run: Run, attempt: Attempt, *, runs: RunStore, at: datetime) -> int:
    earlier = [] if attempt.number == 1 else [a for a in runs.attempts(run.run_id) if a.number < attempt.number]
    return max(1, int(runtime_left(run.spec, earlier, at) // timedelta(seconds=1)))


def _look(attempt: Attempt, instance_id: InstanceId, *, runs: RunStore, machines: Machines, at: datetime) -> None:
    """Ask EC2 once: a machine may have gone between the two waiting states, and its event may be lost."""
    view = machines.machine(instance_id)
    if view is not None and view.state.is_going:
        record_departure(runs, attempt, Departure.of_view(view), at)


def _send(
    attempt: Attempt, points: tuple[ResumePoint, ...], *, runs: RunStore, commands: Commands, at: datetime
) -> Attempt:
    """Send the start command and keep its id. If the id cannot be kept the next invocation sends it once more, which
    changes nothing on the machine."""
    command_id = send_start(commands, attempt)
    found = f"; it may resume from {_name(points[0])}" if points else ""
    text = f"The start command was sent to the {sentences.machine(attempt)}{found}."
    event = event_of_attempt(attempt, TimelineKind.COMMAND_SENT, at, text, data={"command_id": command_id})

    def write() -> Attempt:
        known = load_attempt(runs, attempt.run_id, attempt.number).model_copy(update={"command_id": command_id})
        return runs.save_attempt(_without_strangers_failure(known), [event])

    return until_written(write)


def _without_strangers_failure(attempt: Attempt) -> Attempt:
    """Make room for the start command's own failure: before its id was known, another command's may have been kept."""
    failed = attempt.facts.get(FactKind.COMMAND_FAILED)
    if failed is None or is_start_command(attempt, failed.data):
        return attempt
    facts = {kind: fact for kind, fact in attempt.facts.items() if kind is not FactKind.COMMAND_FAILED}
    return attempt.model_copy(update={"facts": facts})


def _name(point: ResumePoint) -> str:
    return f"step {point.step}" if point.step is not None else point.name


def _catch_up(attempt: Attempt, *, runs: RunStore, tokens: TaskTokens, commands: Commands) -> bool:
    """Look for what came while the command was on its way: a stop request that found no command to follow, or a
    failure of the command before its id was stored."""
    run = runs.run(attempt.run_id)
    if run is not None and run.stop_request is not None:
        send_stop(commands, attempt, now=run.stop_request.now)
    return answer_waiting(attempt.run_id, attempt.number, runs=runs, tokens=tokens)
