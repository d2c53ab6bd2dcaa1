"""A function whose code is not in the bucket fails its deployment, as on AWS.

ministack creates such a function and lets its invocations fail, long after the archive was forgotten.
"""

from __future__ import annotations

from typing import Any

from runctl.local.emulator.seam import module, replace

_TYPE = "AWS::Lambda::Function"


def apply() -> None:
    """Look for the archive before CloudFormation creates a function."""
    provisioners = module("services.cloudformation.provisioners")
    service = module("services.lambda_svc")

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        """Create the function. Raises `ValueError`, which fails the resource, in the words of Lambda."""
        code = props.get("Code", {})
        bucket, key = code.get("S3Bucket"), code.get("S3Key")
        if bucket and key and service._fetch_code_from_s3(bucket, key, version_id=code.get("S3ObjectVersion")) is None:
            raise ValueError(
                "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does "
                f"not exist. (Service: Lambda; s3://{bucket}/{key})"
            )
        return original(logical_id, props, stack_name)

    original = replace(provisioners, "_lambda_create", "logical_id, props, stack_name", create)
    provisioners._RESOURCE_HANDLERS[_TYPE]["create"] = create
