"""What CloudFormation does with a resource's properties, where ministack passes over them.

A function whose archive is not in the bucket is created there, and its invocations fail long after the archive was
forgotten; point-in-time recovery of a table, a bucket's lifecycle rules and a state machine's logging are accepted
without effect, so that whoever describes the resource sees another one than the template's. A table that is protected
from deletion goes with its stack there; on AWS it keeps the stack (DynamoDB Developer Guide, "Using deletion protection
to protect your table"). An instance profile is known by its ARN there; CloudFormation's `Ref` gives its name
(CloudFormation Template Reference, "AWS::IAM::InstanceProfile", return values).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast
from xml.etree import ElementTree

from runctl.local.emulator.seam import module, replace

_INSTANCE_PROFILE: Final = "AWS::IAM::InstanceProfile"
_STATE_MACHINE_LOGGING: Final = {
    "Level": "level",
    "IncludeExecutionData": "includeExecutionData",
    "Destinations": "destinations",
    "CloudWatchLogsLogGroup": "cloudWatchLogsLogGroup",
    "LogGroupArn": "logGroupArn",
}


def apply() -> None:
    """Look before a resource is created, and finish it afterwards."""
    provisioners = module("services.cloudformation.provisioners")
    stacks = module("services.cloudformation.stacks")

    def provision(resource_type: str, logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        """Create a resource. Raises `ValueError`, which fails it."""
        if resource_type == "AWS::Lambda::Function":
            _require_code(props.get("Code", {}))
        created = original_provision(resource_type, logical_id, props, stack_name)
        _finish(resource_type, created[0], props)
        return (_known_by(resource_type, created[0]), *created[1:])

    def update(
        resource_type: str,
        physical_id: str,
        old_props: dict[str, Any],
        new_props: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        old_attrs: dict[str, Any] | None = None,
    ) -> Any:
        """Update a resource."""
        there = _known_there(resource_type, physical_id)
        updated = original_update(resource_type, there, old_props, new_props, stack_name, logical_id, old_attrs)
        _finish(resource_type, updated[0], new_props)
        if physical_id == there:  # of a state that was kept from before this mend: another id would delete the old one
            return updated
        return (_known_by(resource_type, updated[0]), *updated[1:])

    def delete(
        resource_type: str,
        physical_id: str,
        props: dict[str, Any],
        stack_name: str | None = None,
        logical_id: str | None = None,
    ) -> None:
        """Delete a resource. Raises `ValueError`, which fails the deletion."""
        if resource_type == "AWS::DynamoDB::Table":
            _require_unprotected(physical_id)
        original_delete(resource_type, _known_there(resource_type, physical_id), props, stack_name, logical_id)

    of_delete = "resource_type, physical_id, props, stack_name, logical_id"
    original_delete = replace(provisioners, "_delete_resource", of_delete, delete)
    replace(stacks, "_delete_resource", of_delete, delete)
    of_provision = "resource_type, logical_id, props, stack_name"
    of_update = "resource_type, physical_id, old_props, new_props, stack_name, logical_id, old_attrs"
    original_provision = replace(provisioners, "_provision_resource", of_provision, provision)
    original_update = replace(provisioners, "_update_resource", of_update, update)
    replace(stacks, "_provision_resource", of_provision, provision)
    replace(stacks, "_update_resource", of_update, update)


def _known_by(resource_type: str, there: str) -> str:
    """The physical id that AWS gives what ministack knows as `there`."""
    return there.rsplit("/", 1)[-1] if resource_type == _INSTANCE_PROFILE else there


def _known_there(resource_type: str, physical_id: str) -> str:
    """What ministack knows a resource by."""
    if resource_type != _INSTANCE_PROFILE:
        return physical_id
    profile: dict[str, str] = module("services.iam")._instance_profiles.get(physical_id, {})
    return profile.get("Arn", physical_id)


def _require_unprotected(table: str) -> None:
    """Raise `ValueError`, in the words of DynamoDB, when the table is protected from deletion."""
    if module("services.dynamodb")._tables.get(table, {}).get("DeletionProtectionEnabled"):
        raise ValueError(
            f"Resource cannot be deleted as it is currently protected against deletion: table {table}. Disable "
            "deletion protection first. (Service: DynamoDb)"
        )


def _require_code(code: dict[str, Any]) -> None:
    """Raise `ValueError`, in the words of Lambda, when the archive is not in the bucket."""
    bucket, key = code.get("S3Bucket"), code.get("S3Key")
    fetch = module("services.lambda_svc")._fetch_code_from_s3
    if bucket and key and fetch(bucket, key, version_id=code.get("S3ObjectVersion")) is None:
        raise ValueError(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does "
            f"not exist. (Service: Lambda; s3://{bucket}/{key})"
        )


def _finish(resource_type: str, physical_id: str, props: dict[str, Any]) -> None:
    finishing = _FINISHING.get(resource_type)
    if finishing is not None:
        finishing(physical_id, props)


def _finish_table(name: str, props: dict[str, Any]) -> None:
    wanted = props.get("PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False})
    request = {"TableName": name, "PointInTimeRecoverySpecification": wanted}
    _require_ok(module("services.dynamodb")._update_continuous_backups(request))


def _finish_bucket(name: str, props: dict[str, Any]) -> None:
    rules: list[dict[str, Any]] = props.get("LifecycleConfiguration", {}).get("Rules", [])
    if not rules:
        module("services.s3")._bucket_lifecycle.pop(name, None)
        return
    root = ElementTree.Element("LifecycleConfiguration")
    for rule in rules:
        element = ElementTree.SubElement(root, "Rule")
        _texts(element, {"ID": rule.get("Id"), "Status": rule["Status"]})
        _texts(ElementTree.SubElement(element, "Filter"), {"Prefix": rule.get("Prefix", "")})
        if "ExpirationInDays" in rule:
            _texts(ElementTree.SubElement(element, "Expiration"), {"Days": rule["ExpirationInDays"]})
        if "AbortIncompleteMultipartUpload" in rule:
            abort = ElementTree.SubElement(element, "AbortIncompleteMultipartUpload")
            _texts(abort, rule["AbortIncompleteMultipartUpload"])
        unknown = set(rule) - {"Id", "Status", "Prefix", "ExpirationInDays", "AbortIncompleteMultipartUpload"}
        if unknown:
            raise ValueError(f"The local target does not know these fields of a lifecycle rule: {sorted(unknown)}")
    _require_ok(module("services.s3")._put_bucket_lifecycle(name, ElementTree.tostring(root)))


def _finish_state_machine(arn: str, props: dict[str, Any]) -> None:
    if "LoggingConfiguration" in props:
        machine = module("services.stepfunctions")._state_machines[arn]
        machine["loggingConfiguration"] = _renamed(props["LoggingConfiguration"])


_FINISHING: Final[dict[str, Callable[[str, dict[str, Any]], None]]] = {
    "AWS::DynamoDB::Table": _finish_table,
    "AWS::S3::Bucket": _finish_bucket,
    "AWS::StepFunctions::StateMachine": _finish_state_machine,
}


def _renamed(value: Any) -> Any:
    """A logging configuration as the API spells it."""
    if isinstance(value, list):
        return [_renamed(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {_STATE_MACHINE_LOGGING[name]: _renamed(each) for name, each in cast("dict[str, Any]", value).items()}
    return value


def _texts(parent: ElementTree.Element, texts: dict[str, Any]) -> None:
    for name, text in texts.items():
        if text is not None:
            ElementTree.SubElement(parent, name).text = str(text)


def _require_ok(response: Any) -> None:
    if response[0] >= 300:
        raise ValueError(response[2].decode() if isinstance(response[2], bytes) else str(response[2]))
