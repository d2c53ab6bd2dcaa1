"""Taking a deployment down: what still runs, ending it, deleting the stack, and what of it is kept."""

import getpass
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from runctl.aws.asset_bucket import AssetBucket, asset_bucket_name, empty_bucket
from runctl.aws.change_sets import ChangeSets, Stack, StackEvent
from runctl.aws.clients import EC2_CONFIG, LAMBDA_CONFIG, S3_CONFIG
from runctl.aws.errors import aws_errors
from runctl.aws.identity import who_am_i
from runctl.aws.machines import Ec2Machines
from runctl.aws.slack_webhooks import SlackWebhooks
from runctl.aws.stop_function import StopFunction
from runctl.aws.table_protection import unprotect_tables
from runctl.client.clients import Clients
from runctl.client.deploying import Site
from runctl.errors import DeploymentFailed, NotDeployedError
from runctl.model.machine import MachineState, MachineView
from runctl.model.names import STACK_NAME, Output
from runctl.model.run import Run
from runctl.model.stop import StopCommand
from runctl.model.timing import SAVE_LIMIT
from runctl.store.runs import RunsTable

END_LIMIT_S: Final = SAVE_LIMIT.total_seconds() + 600
"""How long runs that were asked to end are waited for: the default time to save, then the schedule that terminates a
machine which did not, and EC2's shutting down."""

_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True)
class Inventory:
    """What there is to destroy, and what still runs on it."""

    account: str
    region: str
    stack: Stack
    open_runs: tuple[Run, ...]
    machines: tuple[MachineView, ...]

    @property
    def bucket(self) -> str | None:
        """The bucket of code, checkpoints and logs; None when the stack never had one."""
        return self.stack.outputs.get(Output.BUCKET)

    @property
    def is_busy(self) -> bool:
        """Whether a run has not ended, or a machine is there that nobody has ended."""
        return bool(self.open_runs) or any(machine.state is not MachineState.SHUTTING_DOWN for machine in self.machines)


@dataclass(frozen=True)
class Remains:
    """What was left, and what was not."""

    bucket: str | None
    """The bucket that was kept."""
    objects_deleted: int
    """Of the bucket, when it was not kept."""
    asset_bucket: str
    """The archives' bucket, empty now."""


class Destroying:
    """Takes the stack down. `sleep` pauses between looks."""

    def __init__(
        self,
        clients: Clients,
        site: Site,
        *,
        say: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clients = clients
        self._site = site
        self._say = say
        self._sleep = sleep
        self._change_sets = ChangeSets(clients.get("cloudformation"), sleep=sleep)

    def inventory(self) -> Inventory:
        """Look at the stack, its open runs and its machines. Raises NotDeployedError."""
        identity = who_am_i(self._clients.get("sts"))
        stack = self._change_sets.stack()
        if stack is None:
            raise NotDeployedError(
                f"There is no stack {STACK_NAME} in account {identity.account}, region {self._clients.region}.",
                hint="Check --profile, --region and --target.",
            )
        if stack.is_changing:
            raise DeploymentFailed(
                f"The stack {STACK_NAME} is being changed by somebody else now: it is {stack.status}.",
                hint="Wait until that has ended, then try again.",
            )
        return Inventory(
            account=identity.account,
            region=self._clients.region,
            stack=stack,
            open_runs=self._open_runs(stack),
            machines=self._machines(),
        )

    def end_runs(self, inventory: Inventory) -> Inventory:
        """Let open runs save and end, wait for that, terminate machines that no run owns. Raises DeploymentFailed."""
        stack = inventory.stack
        if inventory.open_runs:
            stopper = StopFunction(self._clients.get("lambda", LAMBDA_CONFIG), stack.outputs[Output.STOP_RUN_FUNCTION])
            for run in inventory.open_runs:
                answer = stopper.stop(StopCommand(run_id=run.run_id, requested_by=getpass.getuser(), now=False))
                self._say(f"{run.run_id} ({run.name}): {answer.message}")
            self._wait(lambda: not self._open_runs(stack), "open runs")
        ec2 = self._ec2()
        for machine in self._machines():
            self._say(f"Terminating {machine.instance_id}.")
            ec2.terminate(machine.instance_id)
        self._wait(lambda: not self._machines(), "machines")
        return self.inventory()

    def destroy(
        self,
        inventory: Inventory,
        *,
        empties_bucket: bool,
        on_event: Callable[[StackEvent], None] = lambda _event: None,
    ) -> Remains:
        """Lift the protection and delete the stack, then what is kept beside it: the addresses of Slack webhooks, and
        what the archives' bucket holds. Raises DeploymentFailed.

        That bucket itself stays: S3 gives the name of a deleted one out again only hours later, and the next deployment
        wants it.
        """
        stack = inventory.stack
        # A machine that shuts down holds its network interface until it is gone, and so subnet and security group.
        self._wait(lambda: not self._machines(), "machines")
        self._change_sets.protect(is_protected=False)
        unprotect_tables(self._clients.get("cloudformation"), self._clients.get("dynamodb"), stack.stack_id)
        ended = self._change_sets.delete(stack.stack_id, on_event)
        if ended.status != "DELETE_COMPLETE":
            failures = self._change_sets.failures(stack.stack_id)
            told = "; ".join(f"{each.logical_id} ({each.resource_type}): {each.reason}" for each in failures)
            raise DeploymentFailed(
                f"The stack could not be deleted, it is {ended.status}: {told or ended.reason}",
                hint="Remove what stands in the way, then again: runctl destroy",
            )
        SlackWebhooks(self._clients.get("ssm"), STACK_NAME).clear()
        archives = self._asset_bucket(inventory.account, stack)
        archives.clear()
        bucket, count = inventory.bucket, 0
        if bucket is not None and empties_bucket:
            s3 = self._clients.get("s3", S3_CONFIG)
            count = empty_bucket(s3, bucket)
            with aws_errors():
                s3.delete_bucket(Bucket=bucket)
            bucket = None
        return Remains(bucket=bucket, objects_deleted=count, asset_bucket=archives.name)

    def _asset_bucket(self, account: str, stack: Stack) -> AssetBucket:
        """The bucket that `deploy` made; one that somebody else gave to the template is not ours to delete."""
        name = self._site.asset_bucket or asset_bucket_name(account, self._clients.region)
        return AssetBucket(
            self._clients.get("s3", S3_CONFIG),
            name,
            account=account,
            region=self._clients.region,
            partition=stack.stack_id.split(":")[1],
        )

    def _open_runs(self, stack: Stack) -> tuple[Run, ...]:
        """Read the runs that have not ended; a stack that never came to be has none."""
        name = stack.outputs.get(Output.RUNS_TABLE)
        if name is None:
            return ()
        return tuple(RunsTable(name, self._clients.get("dynamodb")).open_runs())

    def _machines(self) -> tuple[MachineView, ...]:
        return tuple(self._ec2().tagged_machines())

    def _ec2(self) -> Ec2Machines:
        return Ec2Machines(self._clients.get("ec2", EC2_CONFIG), self._clients.get("ssm"))

    def _wait(self, is_done: Callable[[], bool], what: str) -> None:
        waited_s = 0.0
        while not is_done():
            if waited_s >= END_LIMIT_S:
                raise DeploymentFailed(
                    f"There are still {what} after {timedelta(seconds=waited_s)}; nothing was deleted.",
                    hint="See: runctl ps",
                )
            self._sleep(_LOOK_EVERY_S)
            waited_s += _LOOK_EVERY_S
