"""Ending what is not wanted any more: everything at once, what no run owns, checkpoints."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from runctl.client.checkpoints import checkpoint_named
from runctl.client.deployment import Deployment
from runctl.client.machines import Machine, Machines
from runctl.client.resuming import chain_of
from runctl.errors import InvalidSpec, RunctlError
from runctl.model.checkpoint import Manifest
from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState
from runctl.model.run import PurchaseOption, Run
from runctl.model.status import Reason
from runctl.model.stop import StopAnswer, StopCommand
from runctl.model.sweep import Sweep, SweepRequest
from runctl.policy.resume import manifest_key, newest_first


@dataclass(frozen=True)
class AllStops:
    """What stopping everything would do. Nothing was asked to stop yet."""

    runs: tuple[Run, ...]
    """They save and end."""
    machines: tuple[Machine, ...]
    """They are kept, and nothing trains on them: they stop, and their disks stay."""
    left: tuple[Machine, ...]
    """They are kept and go on: EC2 stops no spot machine, and a busy one must let its run save first."""


@dataclass(frozen=True)
class Stopped:
    """What stopping everything came to. One that could not be asked keeps no other from it."""

    answers: tuple[StopAnswer, ...]
    machines: tuple[Machine, ...]
    faults: tuple[RunctlError, ...]


@dataclass(frozen=True)
class Deletion:
    """Checkpoints that can be deleted. Nothing was deleted yet."""

    run: Run
    checkpoints: tuple[Manifest, ...]
    left: tuple[Manifest, ...]
    files: tuple[str, ...]
    """Keys of the files that no other checkpoint needs."""
    freed_bytes: int


class Tidying:
    """Ends things of a deployment."""

    def __init__(self, deployment: Deployment, user: str) -> None:
        self._deployment = deployment
        self._user = user

    # -- what no run owns ----------------------------------------------------------------------------------------

    def sweep(self, *, dry_run: bool = False, confirmed: Collection[InstanceId] = ()) -> Sweep:
        """Let the reaper look now; `confirmed` are machines that a dry run named and that need no second look."""
        return self._deployment.reaper.sweep(SweepRequest(dry_run=dry_run, confirmed=frozenset(confirmed)))

    # -- everything ----------------------------------------------------------------------------------------------

    def plan_stop(self, *, all_users: bool = False) -> AllStops:
        """Look for all open runs, of every project, and for machines that are kept; of this user alone unless
        `all_users`."""
        wanted = [
            run
            for run in self._deployment.runs.open_runs()
            if run.stop_request is None and self._is_meant(run, all_users)
        ]
        stops: list[Machine] = []
        left: list[Machine] = []
        for machine in Machines(self._deployment, self._user).all():
            run = machine.run
            if run is None or not _is_kept(run) or not self._is_meant(run, all_users):
                continue
            if machine.view.state not in (MachineState.PENDING, MachineState.RUNNING):
                continue
            can_stop = machine.busy_with is None and machine.view.purchase_option is PurchaseOption.ON_DEMAND
            (stops if can_stop else left).append(machine)
        return AllStops(tuple(sorted(wanted, key=lambda run: run.created_at)), tuple(stops), tuple(left))

    def stop(self, plan: AllStops) -> Stopped:
        """Ask the runs to save and end, as `cancel` does, and the idle machines to stop."""
        answers: list[StopAnswer] = []
        stopped: list[Machine] = []
        faults: list[RunctlError] = []
        for run in plan.runs:
            try:
                answers.append(
                    self._deployment.stopper.stop(StopCommand(run_id=run.run_id, requested_by=self._user, now=False))
                )
            except RunctlError as fault:
                faults.append(fault)
        for machine in plan.machines:
            try:
                stopped.append(Machines(self._deployment, self._user).stop(machine.instance_id))
            except RunctlError as fault:
                faults.append(fault)
        return Stopped(tuple(answers), tuple(stopped), tuple(faults))

    def _is_meant(self, run: Run, all_users: bool) -> bool:
        return all_users or run.user == self._user

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def plan_deletion(self, run: Run, names: Sequence[str] = (), *, keep: int | None = None) -> Deletion:
        """Look at the checkpoints of these names, or at all but the `keep` newest.

        Raises InvalidSpec while the run's machines may still name them, or a run that goes on from it is open;
        NotFoundError for a name that it has not.
        """
        self._refuse_while_needed(run)
        saved = newest_first(self._deployment.results.manifests(run.run_id))
        if keep is None:
            meant = {checkpoint_named(saved, name, run.run_id).name for name in names}
            chosen = tuple(each for each in saved if each.name in meant)
        else:
            chosen = saved[keep:]
        left = tuple(each for each in saved if each not in chosen)
        # A checkpoint may name files that an earlier one of its attempt brought.
        needed = {file.key for each in left for file in each.files}
        sizes = {file.key: file.bytes for each in chosen for file in each.files if file.key not in needed}
        return Deletion(run, chosen, left, tuple(sizes), sum(sizes.values()))

    def delete(self, plan: Deletion) -> None:
        """Delete them: manifests first, for without one there is no checkpoint, whatever is left of its files."""
        self._deployment.results.delete([manifest_key(each) for each in plan.checkpoints])
        self._deployment.results.delete(plan.files)

    def _refuse_while_needed(self, run: Run) -> None:
        if not run.status.is_terminal:
            raise InvalidSpec(
                f"The run {run.run_id} has not ended: its machine keeps the newest checkpoints by itself.",
                hint=f"Let it save and end first: runctl cancel {run.run_id}",
            )
        for other in self._deployment.runs.open_runs():
            if any(link.run_id == run.run_id for link in chain_of(other, self._deployment.runs)):
                raise InvalidSpec(
                    f"The run {other.run_id} of {other.user} goes on from {run.run_id} and may need its checkpoints.",
                    hint=f"Wait for its end first: runctl wait {other.run_id}",
                )


def _is_kept(run: Run) -> bool:
    """Whether the machine that a run launched stays: it was asked for, and the run ended well."""
    return run.spec.keep_machine_s is not None and run.reason is Reason.COMPLETED
