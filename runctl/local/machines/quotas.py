"""Service Quotas, as far as a caller asks whether machines may be launched: this cloud has none to reach."""

import re
from typing import Any, Final

from runctl.local.machines.wire import aws_json
from runctl.local.machines.wire.asgi import Response
from runctl.local.machines.wire.errors import AwsError, unsupported

TARGET: Final = "ServiceQuotasV20190624."

NEVER_REACHED: Final = 100_000.0
"""vCPUs. Nothing here counts them."""

_ACTIONS: Final = ("GetServiceQuota", "GetAWSDefaultServiceQuota")
_EC2_CODE: Final = re.compile("L-[0-9A-F]{8}")
_CONTENT_TYPE: Final = "application/x-amz-json-1.1"


class QuotaCalls:
    """Answers for EC2's quotas of vCPUs."""

    def __init__(self, *, region: str, account_id: str) -> None:
        self._region = region
        self._account_id = account_id

    def answer(self, action: str, body: bytes) -> Response:
        """Answer a call; errors are answers too."""
        try:
            if action not in _ACTIONS:
                raise unsupported(f"{action} of Service Quotas")
            return Response.json({"Quota": self._quota(aws_json.document(body))}, content_type=_CONTENT_TYPE)
        except AwsError as error:
            return aws_json.failure(error)

    def _quota(self, request: dict[str, Any]) -> dict[str, Any]:
        service, code = request.get("ServiceCode"), request.get("QuotaCode")
        if service != "ec2" or not isinstance(code, str) or not _EC2_CODE.fullmatch(code):
            raise AwsError("NoSuchResourceException", f"{service} has no quota {code} on runctl's local cloud.")
        return {
            "ServiceCode": service,
            "QuotaArn": f"arn:aws:servicequotas:{self._region}:{self._account_id}:{service}/{code}",
            "QuotaCode": code,
            "Value": NEVER_REACHED,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
