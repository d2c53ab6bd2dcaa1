"""The bus that machines report on, and a rule for each source of events.

Delivery is at least once and unordered; every target has a dead-letter queue for what could not be delivered.
"""

from dataclasses import dataclass
from typing import Final

from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from runctl.model.agent_event import AgentEventKind
from runctl.model.machine import MachineState
from runctl.model.names import AGENT_EVENT_SOURCE, Function
from runctl.model.service_events import (
    COMMAND_EVENT,
    EXECUTION_EVENT,
    CommandStatus,
    ExecutionStatus,
    MachineEventKind,
)
from stacks.constructs.access import START_DOCUMENT
from stacks.constructs.dead_letters import DeadLetters
from stacks.constructs.functions import Functions
from stacks.constructs.identity import Names, id_of

RETRY_FOR_S: Final = 3_600
"""How long EventBridge tries to deliver; later the event is no news: the reaper and the heartbeats know by then."""

RETRIES: Final = 185
"""The most that EventBridge takes (API Reference, RetryPolicy); RETRY_FOR_S ends it earlier."""


@dataclass(frozen=True)
class Pattern:
    """A rule: its CDK id, what it is for, what it matches, and who gets it."""

    construct_id: str
    description: str
    function: Function
    source: str
    detail_types: tuple[str, ...]
    detail: dict[str, list[str]] | None = None
    on_our_bus: bool = False


class EventRules(Construct):
    """The rules, and the right of each to call its function.

    Those of EC2 match the whole account, for its events carry no tags: the function drops strangers by one read of
    an index.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        bus: events.EventBus,
        functions: Functions,
        dead_letters: DeadLetters,
    ) -> None:
        super().__init__(scope, construct_id)
        rules = [self._rule(pattern, bus, functions[pattern.function], dead_letters) for pattern in patterns(names)]
        dead_letters.accept_from_rules([rule.attr_arn for rule in rules])

    def _rule(
        self, pattern: Pattern, bus: events.EventBus, function: lambda_.Function, dead_letters: DeadLetters
    ) -> events.CfnRule:
        matched: dict[str, object] = {"source": [pattern.source], "detail-type": list(pattern.detail_types)}
        if pattern.detail is not None:
            matched["detail"] = pattern.detail
        rule = events.CfnRule(
            self,
            pattern.construct_id,
            event_bus_name=bus.event_bus_name if pattern.on_our_bus else None,
            description=pattern.description,
            event_pattern=matched,
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id=id_of(pattern.function),
                    arn=function.function_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters.queue.queue_arn),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_event_age_in_seconds=RETRY_FOR_S, maximum_retry_attempts=RETRIES
                    ),
                )
            ],
        )
        lambda_.CfnPermission(
            self,
            f"{pattern.construct_id}Invokes",
            action="lambda:InvokeFunction",
            function_name=function.function_arn,
            principal="events.amazonaws.com",
            source_arn=rule.attr_arn,
        )
        return rule


def patterns(names: Names) -> tuple[Pattern, ...]:
    """All rules on events. Values that mean nothing to us are left out, so that nobody is invoked for them."""
    return (
        Pattern(
            "MachineWarned",
            "EC2 will take a spot machine back, or may soon.",
            Function.OBSERVE_MACHINE,
            "aws.ec2",
            (MachineEventKind.WARNING.value, MachineEventKind.REBALANCE.value),
        ),
        Pattern(
            "MachineGone",
            "A machine stops, or is gone.",
            Function.OBSERVE_MACHINE,
            "aws.ec2",
            (MachineEventKind.STATE_CHANGE.value,),
            {"state": [state.value for state in MachineState if state.is_going]},
        ),
        Pattern(
            "CommandFailed",
            "A command did not reach its machine, or did not start the training.",
            Function.OBSERVE_COMMAND,
            "aws.ssm",
            (COMMAND_EVENT,),
            {"document-name": [START_DOCUMENT], "status": [status.value for status in CommandStatus]},
        ),
        Pattern(
            "ExecutionEnded",
            "A run's execution ended otherwise than well.",
            Function.OBSERVE_EXECUTION,
            "aws.states",
            (EXECUTION_EVENT,),
            {
                "stateMachineArn": [names.state_machine_arn],
                "status": [
                    status.value
                    for status in (ExecutionStatus.FAILED, ExecutionStatus.TIMED_OUT, ExecutionStatus.ABORTED)
                ],
            },
        ),
        Pattern(
            "AgentReported",
            "A machine reports: ready, started, progress, checkpoint, ended.",
            Function.OBSERVE_AGENT,
            AGENT_EVENT_SOURCE,
            tuple(kind.value for kind in AgentEventKind),
            on_our_bus=True,
        ),
    )
