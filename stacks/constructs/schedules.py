"""What happens by the clock: the cost watch, the reaper, and the group that one-time schedules live in."""

import json
from typing import Final

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from runctl.model.names import Function
from stacks.constructs.access import allow
from stacks.constructs.functions import Functions
from stacks.constructs.identity import Names, id_of

PERIODIC_RETRY_FOR_S: Final = 120
"""The next turn comes soon and does all that the missed one would have done."""

PERIODIC_RETRIES: Final = 2


class OneTimeSchedules(Construct):
    """The group, and the role by which a schedule of it calls `stop_run` and nothing else."""

    def __init__(self, scope: Construct, construct_id: str, *, names: Names, dead_letters: sqs.Queue) -> None:
        super().__init__(scope, construct_id)
        self.group = scheduler.CfnScheduleGroup(self, "Group", name=names.schedule_group)
        self.role = _role(self, [names.function_arn(Function.STOP_RUN)], dead_letters)


class PeriodicSchedules(Construct):
    """The cost watch, the reaper and the reports, as often as the parameters say."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: Functions,
        rates: dict[Function, str],
        digests: dict[int, str],
        dead_letters: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        called = (*rates, Function.SEND_DIGEST)
        role = _role(self, [functions[function].function_arn for function in called], dead_letters)
        for function, rate in rates.items():
            self._schedule(id_of(function), functions[function], rate, role, dead_letters)
        for days, rate in digests.items():
            asked = json.dumps({"days": days})
            self._schedule(f"Digest{days}", functions[Function.SEND_DIGEST], rate, role, dead_letters, asked)

    def _schedule(
        self,
        construct_id: str,
        target: lambda_.Function,
        rate: str,
        role: iam.Role,
        dead_letters: sqs.Queue,
        asked: str = "{}",
    ) -> None:
        scheduler.CfnSchedule(
            self,
            construct_id,
            schedule_expression=rate,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=target.function_arn,
                role_arn=role.role_arn,
                input=asked,
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=PERIODIC_RETRY_FOR_S, maximum_retry_attempts=PERIODIC_RETRIES
                ),
            ),
        )


def _role(scope: Construct, function_arns: list[str], dead_letters: sqs.Queue) -> iam.Role:
    """A role for EventBridge Scheduler: call these functions, and put away what could not be delivered."""
    role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
    role.add_to_policy(allow("lambda:InvokeFunction", on=function_arns))
    role.add_to_policy(allow("sqs:SendMessage", on=dead_letters.queue_arn))
    return role
