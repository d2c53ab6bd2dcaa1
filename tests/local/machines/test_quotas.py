"""What Service Quotas says of a cloud that has no quotas."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local.machines.cloud import Cloud

pytestmark = pytest.mark.local_cloud


@pytest.fixture
def quotas(cloud: Cloud) -> Any:
    """Service Quotas' client."""
    return boto3.client(
        "service-quotas",
        endpoint_url=cloud.ec2.meta.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="local",
    )


@pytest.mark.parametrize("operation", ["get_service_quota", "get_aws_default_service_quota"])
def test_no_machine_is_too_large_for_a_quota_of_ec2(quotas: Any, operation: str) -> None:
    answer = getattr(quotas, operation)(ServiceCode="ec2", QuotaCode="L-34B43A08")

    assert answer["Quota"]["QuotaCode"] == "L-34B43A08"
    assert answer["Quota"]["Value"] > 10_000


@pytest.mark.parametrize(("service", "code"), [("lambda", "L-B99A9384"), ("ec2", "L-1")])
def test_other_quotas_are_not_made_up(quotas: Any, service: str, code: str) -> None:
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas.get_service_quota(ServiceCode=service, QuotaCode=code)


def test_call_that_is_not_known_is_refused(quotas: Any) -> None:
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        quotas.list_services()
