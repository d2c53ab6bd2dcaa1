"""All that a run left anywhere, as text: to look for what must not be there."""

import gzip
import json
from pathlib import Path
from typing import Any

from tests.local.runs.cloud import Cloud


def everything_written(cloud: Cloud, run: dict[str, Any]) -> dict[str, str]:
    """Read every place that a value could have got to, but the stores of secrets themselves."""
    return {
        "table": _items(cloud),
        "execution": _execution(cloud, run["execution_arn"]),
        "commands": _commands(cloud),
        "logs": _logs(cloud),
        "bucket": _objects(cloud),
        "machine's disk": _disks(cloud.root / ".runctl" / "local" / "machines"),
    }


def _items(cloud: Cloud) -> str:
    dynamodb = cloud.client("dynamodb")
    names = dynamodb.list_tables()["TableNames"]
    return "".join(str(dynamodb.scan(TableName=name)["Items"]) for name in names)


def _execution(cloud: Cloud, arn: str) -> str:
    return json.dumps([cloud.ended_execution(arn), cloud.history(arn)], default=str)


def _commands(cloud: Cloud) -> str:
    ssm = cloud.client("ssm")
    invocations = ssm.list_command_invocations(Details=True)["CommandInvocations"]
    return json.dumps([ssm.list_commands()["Commands"], invocations], default=str)


def _logs(cloud: Cloud) -> str:
    logs = cloud.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    assert any("machines" in name for name in groups)
    pages = [page for name in groups for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name)]
    return "\n".join(f"{event['logStreamName']} {event['message']}" for page in pages for event in page["events"])


def _objects(cloud: Cloud) -> str:
    s3 = cloud.client("s3")
    found: list[str] = []
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for entry in page.get("Contents", []):
                content = s3.get_object(Bucket=bucket["Name"], Key=entry["Key"])["Body"].read()
                found.append(f"{entry['Key']} {_text(content)}")
    return "\n".join(found)


def _disks(folder: Path) -> str:
    """What machines left behind: their logs stay when their disks are gone."""
    files = [path for path in folder.rglob("*") if path.is_file() and "lib" not in path.parts]
    return "\n".join(f"{path} {_text(path.read_bytes())}" for path in files)


def _text(content: bytes) -> str:
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8", "replace")
