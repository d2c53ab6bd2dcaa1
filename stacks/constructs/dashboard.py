"""One page of graphs, for those who want to pay for it."""

from typing import Final

from aws_cdk import Aws, CfnCondition, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from runctl.model.names import Function, Metric
from stacks.constructs.figures import Figures

_PERIOD: Final = Duration.minutes(5)
_HALF: Final = 12
"""Half the width: a dashboard has 24 columns."""


class Dashboard(Construct):
    """Runs, what they cost, and what went wrong in the controller."""

    def __init__(self, scope: Construct, construct_id: str, *, figures: Figures, wanted: CfnCondition) -> None:
        super().__init__(scope, construct_id)
        dashboard = cloudwatch.Dashboard(
            self,
            "Page",
            dashboard_name=Aws.STACK_NAME,
            widgets=[
                [
                    _graph(
                        "Runs by outcome",
                        [
                            figures.executions(f"Executions{outcome}", period=_PERIOD)
                            for outcome in ("Started", "Succeeded", "Failed", "Aborted", "TimedOut")
                        ],
                    ),
                    _graph(
                        "USD this month, and what open runs may yet cost",
                        [figures.ours(metric, period=_PERIOD) for metric in (Metric.MONTH_USD, Metric.FORECAST_USD)],
                    ),
                ],
                [
                    _graph("USD an hour", [figures.ours(Metric.USD_PER_HOUR, period=_PERIOD)]),
                    _graph(
                        "Machines and runs that nobody minds",
                        [
                            figures.ours(metric, period=_PERIOD)
                            for metric in (
                                Metric.IDLE_MACHINES,
                                Metric.STRAY_MACHINES,
                                Metric.STRANDED_RUNS,
                                Metric.RUNS_OVER_COST,
                                Metric.UNVERIFIED_EVENTS,
                            )
                        ],
                    ),
                ],
                [
                    _graph(
                        "Exceptions of functions", [figures.errors(function, period=_PERIOD) for function in Function]
                    ),
                    _graph(
                        "Undelivered and throttled",
                        [figures.undelivered(period=_PERIOD), figures.throttles(period=_PERIOD)],
                    ),
                ],
            ],
        )
        resource = dashboard.node.default_child
        assert isinstance(resource, cloudwatch.CfnDashboard)
        resource.cfn_options.condition = wanted


def _graph(title: str, metrics: list[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=metrics, width=_HALF)
