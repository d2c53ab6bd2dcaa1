"""The metrics that alarms and the dashboard look at: AWS's own, and the few of ours."""

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs

from runctl.model.names import Function, Metric
from stacks.constructs.functions import Functions
from stacks.constructs.identity import Names
from stacks.state_machine.machine import StateMachine


@dataclass(frozen=True)
class Figures:
    """Metrics of this deployment."""

    names: Names
    dead_letters: sqs.Queue
    functions: Functions
    state_machine: StateMachine

    def ours(self, metric: Metric, *, period: Duration, statistic: str = "Maximum") -> cloudwatch.Metric:
        """One of our own metrics."""
        return cloudwatch.Metric(
            namespace=self.names.metric_namespace, metric_name=metric.value, period=period, statistic=statistic
        )

    def undelivered(self, *, period: Duration) -> cloudwatch.IMetric:
        """Messages in the dead-letter queue."""
        return self.dead_letters.metric_approximate_number_of_messages_visible(period=period, statistic="Maximum")

    def throttles(self, *, period: Duration) -> cloudwatch.Metric:
        """Invocations that Lambda refused in the whole account and Region: concurrency is shared by all functions."""
        return cloudwatch.Metric(namespace="AWS/Lambda", metric_name="Throttles", period=period, statistic="Sum")

    def executions(self, outcome: str, *, period: Duration) -> cloudwatch.IMetric:
        """Executions by outcome, e.g. `ExecutionsSucceeded`."""
        return self.state_machine.resource.metric(outcome, period=period, statistic="Sum")

    def errors(self, function: Function, *, period: Duration) -> cloudwatch.IMetric:
        """Exceptions of a function; those of a step are often an answer, such as no capacity."""
        return self.functions[function].metric_errors(period=period)
