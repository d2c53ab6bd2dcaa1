"""An object that is not there is forbidden to whoever may not list its bucket.

Amazon S3 API Reference, GetObject and HeadObject, "Permissions": without `s3:ListBucket` S3 answers 403 where it would
otherwise answer 404. ministack always answers 404, so that a missing permission would show only on AWS.
"""

from __future__ import annotations

from typing import Any, Final

from runctl.local.emulator.seam import module, replace

_NOT_THERE: Final = 404
_FORBIDDEN: Final = 403


def apply() -> None:
    """Look at the caller's rights before saying that there is nothing."""
    s3 = module("services.s3")

    def get_object(
        bucket_name: str, key: str, headers: dict[str, str], query_params: dict[str, Any] | None = None
    ) -> Any:
        """GetObject."""
        answer = original_get(bucket_name, key, headers, query_params)
        if answer[0] == _NOT_THERE and not _may_list(bucket_name, headers, query_params or {}):
            return s3._error("AccessDenied", "Access Denied", _FORBIDDEN, f"/{bucket_name}/{key}")
        return answer

    def head_object(
        bucket_name: str,
        key: str,
        headers: dict[str, str] | None = None,
        query_params: dict[str, Any] | None = None,
    ) -> Any:
        """HeadObject, whose answers have no body."""
        answer = original_head(bucket_name, key, headers, query_params)
        if answer[0] == _NOT_THERE and not _may_list(bucket_name, headers or {}, query_params or {}):
            return (_FORBIDDEN, *answer[1:])
        return answer

    original_get = replace(s3, "_get_object", "bucket_name, key, headers, query_params", get_object)
    original_head = replace(s3, "_head_object", "bucket_name, key, headers, query_params", head_object)


def _may_list(bucket: str, headers: dict[str, str], query_params: dict[str, Any]) -> bool:
    router, evaluator = module("core.router"), module("core.iam_evaluator")
    access_key = router.extract_access_key_id(headers, query_params)
    region = router.extract_region(headers, query_params)
    denied = evaluator.enforce(access_key, "s3:ListBucket", "s3", region, resource_arn=f"arn:aws:s3:::{bucket}")
    return denied is None
