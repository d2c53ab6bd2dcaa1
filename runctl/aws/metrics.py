"""CloudWatch: `Metrics` of runctl/controller/ports.py.

PutMetricData rather than the embedded metric format: all values of a look go in one call, a few times an hour at most
($0.09 a month), a refusal is seen at once, and a deployment without log processing still has them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runctl.aws.errors import aws_errors
from runctl.model.names import Metric

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricDatumTypeDef


class CloudWatchMetrics:
    """Puts metrics of one namespace, without any dimension."""

    def __init__(self, client: "CloudWatchClient", namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def put(self, values: Mapping[Metric, float]) -> None:
        """Put them in one call: PutMetricData takes a thousand ("PutMetricData", CloudWatch API Reference)."""
        if not values:
            return
        data: list[MetricDatumTypeDef] = [
            {"MetricName": metric.value, "Value": value, "Unit": "None" if metric.is_money else "Count"}
            for metric, value in values.items()
        ]
        with aws_errors():
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
