"""What somebody should be told of. Each alarm is paid for, so that none stands for one run, user or project, nor for
what the controller tells people itself: machines without a run, and what the reaper did."""

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from runctl.model.names import Metric
from stacks.constructs.figures import Figures

MOST_ALARMS: Final = 10
"""What an account has free of charge."""

_OFTEN: Final = Duration.minutes(5)
_DAILY: Final = Duration.days(1)


class Alarms(Construct):
    """Alarms that end on the topic."""

    def __init__(self, scope: Construct, construct_id: str, *, figures: Figures, topic: sns.Topic) -> None:
        super().__init__(scope, construct_id)
        self._action = actions.SnsAction(topic)
        self._more_than_none(
            "Undelivered",
            figures.undelivered(period=_OFTEN),
            "An event was not delivered or its function failed for good. Look into the dead-letter queue.",
        )
        self._more_than_none(
            "RunsOverCost",
            figures.ours(Metric.RUNS_OVER_COST, period=_OFTEN),
            "An open run has cost more than its limit. `runctl ps` shows it; `runctl cancel RUN` ends it.",
        )
        self._more_than_none(
            "UnverifiedEvents",
            figures.ours(Metric.UNVERIFIED_EVENTS, period=_OFTEN, statistic="Sum"),
            "Somebody put events on the bus that no machine of a run can have sent.",
        )
        self._more_than_none(
            "Throttled",
            figures.throttles(period=_OFTEN),
            "Lambda refuses invocations for lack of concurrency, for a quarter of an hour: ask for a higher limit.",
            periods=3,
        )
        self._add(
            "CostWatchSilent",
            figures.ours(Metric.MONTH_USD, period=_DAILY, statistic="SampleCount"),
            "Costs have not been looked at for a day: nothing would say that a run costs too much.",
            cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=1,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )

    def _more_than_none(
        self, construct_id: str, metric: cloudwatch.IMetric, description: str, *, periods: int = 1
    ) -> None:
        self._add(
            construct_id,
            metric,
            description,
            cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=0,
            missing=cloudwatch.TreatMissingData.NOT_BREACHING,
            periods=periods,
        )

    def _add(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        description: str,
        comparison: cloudwatch.ComparisonOperator,
        *,
        threshold: float,
        missing: cloudwatch.TreatMissingData,
        periods: int = 1,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            alarm_description=description,
            comparison_operator=comparison,
            threshold=threshold,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
