"""A real spot interruption, by AWS Fault Injection Service: a role and an experiment, made for one machine and removed.

Sources: AWS FIS User Guide, "Tutorial: Test Spot Instance interruptions using AWS FIS" and "Actions reference",
`aws:ec2:send-spot-instance-interruptions`: rebalance recommendation and interruption notice are EC2's own, and the
machine is reclaimed after `durationBeforeInterruption`, two minutes at least.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import ClientError

ACTION: Final = "aws:ec2:send-spot-instance-interruptions"
ROLE_NAME: Final = "runctl-smoke-interruption"
POLICY_NAME: Final = "interrupt-one-machine"
_ROLE_LIMIT_S: Final = 60.0
"""A new role is not known everywhere at once (IAM User Guide, "Troubleshoot IAM", eventual consistency)."""

_EXPERIMENT_LIMIT_S: Final = 300.0
_OVER: Final = frozenset({"completed", "stopped", "failed", "cancelled"})


class InterruptionFailed(Exception):
    """FIS did not interrupt the machine; the message is its own."""


def experiment(instance_arn: str, role_arn: str) -> dict[str, Any]:
    """The template: one action on one machine, and nothing that would stop it."""
    return {
        "description": "runctl smoke: interrupt the spot machine of one run",
        "roleArn": role_arn,
        "stopConditions": [{"source": "none"}],
        "targets": {
            "machine": {
                "resourceType": "aws:ec2:spot-instance",
                "resourceArns": [instance_arn],
                "selectionMode": "ALL",
            }
        },
        "actions": {
            "interrupt": {
                "actionId": ACTION,
                "parameters": {"durationBeforeInterruption": "PT2M"},
                "targets": {"SpotInstances": "machine"},
            }
        },
        "tags": {"runctl": "smoke"},
    }


def trust(account: str) -> dict[str, Any]:
    """FIS of this account alone may take the role (IAM User Guide, "The confused deputy problem")."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "fis.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }


def rights(instance_arn: str) -> dict[str, Any]:
    """Look at machines; interrupt this one."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"},
            {"Effect": "Allow", "Action": "ec2:SendSpotInstanceInterruptions", "Resource": instance_arn},
        ],
    }


class FisInterruption:
    """Interrupts spot machines of one account and Region. `sleep` and `now` are the clock."""

    def __init__(
        self,
        fis: Any,
        iam: Any,
        *,
        account: str,
        region: str,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fis = fis
        self._iam = iam
        self._account = account
        self._region = region
        self._sleep = sleep
        self._now = now

    def interrupt(self, instance_id: str) -> None:
        """Have EC2 take a machine back; returns when the notice is out. Raises InterruptionFailed.

        Role and template are removed in any case: an experiment that has begun needs neither its template, nor the role
        once the action is over.
        """
        instance_arn = f"arn:aws:ec2:{self._region}:{self._account}:instance/{instance_id}"
        with self._role(instance_arn) as role_arn, self._template(experiment(instance_arn, role_arn)) as template_id:
            started = self._fis.start_experiment(clientToken=str(uuid.uuid4()), experimentTemplateId=template_id)
            self._await_end(started["experiment"]["id"])

    @contextmanager
    def _role(self, instance_arn: str) -> Iterator[str]:
        made = self._iam.create_role(
            RoleName=ROLE_NAME,
            AssumeRolePolicyDocument=json.dumps(trust(self._account)),
            Tags=[{"Key": "runctl", "Value": "smoke"}],
        )
        try:
            self._iam.put_role_policy(
                RoleName=ROLE_NAME, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(rights(instance_arn))
            )
            yield made["Role"]["Arn"]
        finally:
            self.remove_role()

    def remove_role(self) -> None:
        """Remove the role, whatever of it there is."""
        gone = self._iam.exceptions.NoSuchEntityException
        for remove in (
            lambda: self._iam.delete_role_policy(RoleName=ROLE_NAME, PolicyName=POLICY_NAME),
            lambda: self._iam.delete_role(RoleName=ROLE_NAME),
        ):
            try:
                remove()
            except gone:
                continue

    @contextmanager
    def _template(self, wanted: dict[str, Any]) -> Iterator[str]:
        deadline = self._now() + _ROLE_LIMIT_S
        while True:
            try:
                made = self._fis.create_experiment_template(clientToken=str(uuid.uuid4()), **wanted)
                break
            except ClientError as error:
                # FIS refuses a role that it cannot take yet as a fault of the request.
                if error.response["Error"]["Code"] != "ValidationException" or self._now() > deadline:
                    raise
                self._sleep(5.0)
        template_id = made["experimentTemplate"]["id"]
        try:
            yield template_id
        finally:
            self._fis.delete_experiment_template(id=template_id)

    def _await_end(self, experiment_id: str) -> None:
        deadline = self._now() + _EXPERIMENT_LIMIT_S
        while True:
            state = self._fis.get_experiment(id=experiment_id)["experiment"]["state"]
            if state["status"] in _OVER:
                break
            if self._now() > deadline:
                raise InterruptionFailed(f"The experiment {experiment_id} is still {state['status']}.")
            self._sleep(5.0)
        if state["status"] != "completed":
            raise InterruptionFailed(f"The experiment is {state['status']}: {state.get('reason', 'no reason given')}")
