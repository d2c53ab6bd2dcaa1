"""Launch the attempt's machine: the launch try is written whole before the call and replayed unchanged."""

from datetime import datetime
from typing import Any

from runctl.controller.limits import look_in_time
from runctl.controller.loading import load_attempt, load_open_run
from runctl.controller.ports import Clock, Machines, Prices, RunStore, Schedules
from runctl.controller.settings import ControllerSettings
from runctl.controller.timeline import event_of_attempt
from runctl.errors import NotNeeded, RunctlError, RunEnded, StopRequested
from runctl.model.attempt import Attempt, LaunchTry
from runctl.model.decision import StepState
from runctl.model.ids import AttemptNumber
from runctl.model.machine import FleetAnswer, LaunchedMachine, MachineView
from runctl.model.names import Tag
from runctl.model.run import PurchaseOption, Run
from runctl.model.status import RunStatus
from runctl.model.timeline import TimelineKind
from runctl.policy import hand_over, instance_profiles, pools, refusals, sentences
from runctl.policy.endings import Ending


def launch_machine(
    state: StepState,
    *,
    runs: RunStore,
    machines: Machines,
    prices: Prices,
    schedules: Schedules,
    settings: ControllerSettings,
    now: Clock,
) -> dict[str, Any]:
    """Launch the machine of the current attempt, once whatever is repeated.

    Raises RunEnded, StopRequested, NotNeeded when an earlier machine has ended the run, and for a refusal
    CapacityUnavailable, QuotaExceeded, PermissionDenied, PoolUnsupported, InvalidSpec, Throttled or AwsError.
    """
    run = load_open_run(runs, state.run_id)
    if run.stop_request is not None:
        raise StopRequested(sentences.stop_requested(run.stop_request))
    attempt = load_attempt(runs, run.run_id, state.current_attempt)
    verdict = _verdict(run, attempt, runs)
    if verdict is not None:
        raise NotNeeded(verdict.text)
    if attempt.instance_id is None and run.machine is not None:
        attempt = runs.save_attempt(attempt.model_copy(update={"instance_id": run.machine}))
    if attempt.instance_id is None:
        launched = _launched(run, attempt, runs=runs, machines=machines, settings=settings, now=now)
        attempt = _keep(run, attempt.number, launched, runs=runs, prices=prices, now=now)
    _tell(run, attempt, runs=runs, machines=machines, now=now)
    look_in_time(run.run_id, runs=runs, schedules=schedules, at=now())
    return {"run_id": run.run_id, "attempt": attempt.number, "instance_id": attempt.instance_id}


def _verdict(run: Run, attempt: Attempt, runs: RunStore) -> Ending | None:
    """Look for the end of a machine that was handing over; it may have come while capacity was waited for."""
    if attempt.number == 1:
        return None
    return hand_over.verdict(run, [each for each in runs.attempts(run.run_id) if each.number < attempt.number])


def _launched(
    run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, settings: ControllerSettings, now: Clock
) -> LaunchedMachine:
    """Find the machine of a try whose answer was lost, or make the open try's call."""
    launch = attempt.launch
    if launch is not None and launch.answered_at is None:
        found = _tagged(machines, attempt)
        if found is not None:
            return found
    else:
        role_id = instance_profiles.role_of(run.spec.instance_profile, settings.instance_profiles)
        launch = _next_try(run, attempt, role_id, runs=runs, machines=machines, settings=settings, at=now())
        attempt = runs.save_attempt(attempt.model_copy(update={"launch": launch, "role_id": role_id}))
    try:
        answer = machines.create_fleet(launch.request)
    except RunctlError as error:
        if refusals.is_definite(error):
            code = getattr(error, "aws_code", "") or error.code
            _close_try(attempt, ({"code": code, "message": error.message},), runs=runs, now=now)
        raise
    if not answer.machines:
        _close_try(attempt, answer.errors, runs=runs, now=now)
        raise refusals.error_of_refusals(answer.errors)
    if answer.errors:
        # The pools that refused while another did not: the run's next machine is not looked for there.
        refused = launch.model_copy(update={"errors": answer.errors})
        runs.save_attempt(attempt.model_copy(update={"launch": refused}))
    return _with_zone(answer, machines)


def _tagged(machines: Machines, attempt: Attempt) -> LaunchedMachine | None:
    for view in machines.machines_of_run(attempt.run_id):
        if view.tags.get(Tag.ATTEMPT) == str(attempt.number) and not view.state.is_going:
            return _from_view(view)
    return None


def _from_view(view: MachineView) -> LaunchedMachine:
    return LaunchedMachine(
        instance_id=view.instance_id,
        instance_type=view.instance_type,
        purchase_option=view.purchase_option,
        availability_zone=view.availability_zone,
    )


def _next_try(
    run: Run,
    attempt: Attempt,
    role_id: str | None,
    *,
    runs: RunStore,
    machines: Machines,
    settings: ControllerSettings,
    at: datetime,
) -> LaunchTry:
    number = 1 if attempt.launch is None else attempt.launch.number + 1
    types = machines.machine_types(run.spec.instance_types)
    known = [other for other in runs.attempts(run.run_id) if other.number <= attempt.number]
    chosen = pools.choose_pools(types, machines.subnets(settings.subnet_ids), known, number, at)
    by_platform = {(kind.architecture, kind.accelerator): kind for kind in types}
    images = {platform: machines.image_id(kind) for platform, kind in by_platform.items()}
    request = pools.fleet_request(
        run,
        attempt.number,
        number,
        chosen,
        {kind.name: images[kind.architecture, kind.accelerator] for kind in types},
        settings.launch_template_id,
        {} if run.spec.disk_gib is None else {image: machines.root_device(image) for image in set(images.values())},
        settings.stack_name,
        role_id,
    )
    return LaunchTry(number=number, client_token=request["ClientToken"], request=request)


def _close_try(attempt: Attempt, errors: tuple[dict[str, str], ...], *, runs: RunStore, now: Clock) -> None:
    """Keep what AWS answered, so that the next call is a try of its own."""
    if attempt.launch is None:
        return
    at = now()
    answered = attempt.launch.model_copy(update={"answered_at": at, "errors": errors})
    told = refusals.refusal_sentences(errors)
    event = event_of_attempt(
        attempt,
        TimelineKind.LAUNCH_REFUSED,
        at,
        "EC2 launched no machine. " + "; ".join(told) + ("." if told else ""),
        detail=f"{answered.number:04d}",
        data={"try": answered.number, "refusals": list(told)},
    )
    runs.save_attempt(attempt.model_copy(update={"launch": answered}), [event])


def _with_zone(answer: FleetAnswer, machines: Machines) -> LaunchedMachine:
    launched = answer.machines[0]
    if launched.availability_zone or not launched.subnet_id:
        return launched
    (subnet,) = machines.subnets([launched.subnet_id])
    return launched.model_copy(update={"availability_zone": subnet.availability_zone})


def _image_in(launch: LaunchTry | None, instance_type: str) -> str | None:
    """Look up in the stored request which image the type was launched with."""
    if launch is None:
        return None
    overrides = [each for config in launch.request["LaunchTemplateConfigs"] for each in config["Overrides"]]
    return next((each["ImageId"] for each in overrides if each["InstanceType"] == instance_type), None)


def _keep(
    run: Run,
    number: AttemptNumber,
    launched: LaunchedMachine,
    *,
    runs: RunStore,
    prices: Prices,
    now: Clock,
) -> Attempt:
    """Write the machine to its attempt, with what it costs."""
    at = now()
    where = (launched.instance_type, launched.availability_zone)
    price = prices.price(*where, launched.purchase_option)
    on_demand = (
        price
        if launched.purchase_option is PurchaseOption.ON_DEMAND
        else prices.price(*where, PurchaseOption.ON_DEMAND)
    )
    attempt = load_attempt(runs, run.run_id, number)
    launch = attempt.launch and attempt.launch.model_copy(update={"answered_at": at})
    with_machine = attempt.model_copy(
        update={
            "launch": launch,
            "instance_id": launched.instance_id,
            "instance_type": launched.instance_type,
            "availability_zone": launched.availability_zone or None,
            "purchase_option": launched.purchase_option,
            "image_id": launched.image_id or _image_in(launch, launched.instance_type),
            "price_usd_per_hour": price and price.usd_per_hour,
            "price_source": price and price.source,
            "on_demand_usd_per_hour": on_demand and on_demand.usd_per_hour,
            "on_demand_source": on_demand and on_demand.source,
            "launched_at": at,
            "disk_gib": run.spec.disk_gib,
        }
    )
    cost = f" at ${price.usd_per_hour} an hour" if price is not None else ""
    text = f"EC2 launched the {sentences.machine(with_machine)}{cost}."
    return runs.save_attempt(with_machine, [event_of_attempt(with_machine, TimelineKind.LAUNCHED, at, text)])


def _tell(run: Run, attempt: Attempt, *, runs: RunStore, machines: Machines, now: Clock) -> None:
    """Write to the run that there is a machine. One that came when the run had just ended is ended at once."""
    current = runs.run(run.run_id)
    if current is None or current.status.is_terminal:
        if attempt.instance_id is not None and attempt.instance_id != run.machine:
            machines.terminate(attempt.instance_id)
        raise RunEnded(f"The run {run.run_id} ended while its machine was launched.")
    if current.stop_request is None:
        status = current.status if current.status is RunStatus.RECOVERING else RunStatus.PROVISIONING
        wait = current.capacity_wait
        update = {
            "status": status,
            # Not over before the machine comes up: EC2 may still let it go for want of capacity.
            "capacity_wait": wait and wait.model_copy(update={"next_try_at": None}),
            "message": f"The {sentences.machine(attempt)} is starting.",
            "updated_at": now(),
        }
        runs.save_run(current.model_copy(update=update))
