"""CloudWatch: `Metrics` of runctl/controller/ports.py.

PutMetricData rather than the embedded metric format: metrics are put a few times an hour at most, a refusal is seen at
once, and a deployment without log processing still has them.
"""

from typing import TYPE_CHECKING

from runctl.aws.errors import aws_errors
from runctl.model.names import Metric

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient


class CloudWatchMetrics:
    """Puts metrics of one namespace, without any dimension."""

    def __init__(self, client: "CloudWatchClient", namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def put(self, metric: Metric, value: float) -> None:
        """Put one value, a count or USD an hour."""
        unit = "None" if metric is Metric.USD_PER_HOUR else "Count"
        with aws_errors():
            self._client.put_metric_data(
                Namespace=self._namespace, MetricData=[{"MetricName": metric.value, "Value": value, "Unit": unit}]
            )
