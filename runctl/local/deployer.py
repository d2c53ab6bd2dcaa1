"""Deploys an assembly on a local cloud, through CloudFormation as on AWS, and skips it when nothing has changed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, cast

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from runctl.assembly import Assembly
from runctl.errors import DeploymentFailed
from runctl.model.names import STACK_NAME, Parameter

ASSET_BUCKET: Final = "runctl-local-assets"

PARAMETERS: Final[Mapping[str, str]] = {
    Parameter.ASSET_BUCKET: ASSET_BUCKET,
    Parameter.DELETION_PROTECTION: "false",
    Parameter.COST_WATCH_RATE: "rate(5 minutes)",
    Parameter.REAPER_RATE: "rate(5 minutes)",
}
"""What is given to the template, where it has such a parameter. The schedules are not more frequent than that, for
each firing wakes functions which otherwise end when nothing runs."""

_TEMPLATE_KEY: Final = "template.json"
_DEPLOYED_KEY: Final = "deployed.json"
_LIMIT_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.05
_NEVER_COMPLETED: Final = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
"""Of a stack whose creation failed: it can only be deleted."""

_FAILED: Final = ("CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED")


class Deployer:
    """Talks with one local cloud at an endpoint, with its credentials."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        # A profile, or files, that a person has for a real account are no business of the local cloud's.
        self._session = get_session({"profile": (None, None, None, None)})
        self._session.set_config_variable("config_file", os.devnull)
        self._session.set_config_variable("credentials_file", os.devnull)
        self._s3 = self._client("s3")
        self._cloudformation = self._client("cloudformation")

    def stack_status(self) -> str | None:
        """CloudFormation's word on the stack; None when there is none."""
        stack = self._stack()
        return None if stack is None else cast("str", stack["StackStatus"])

    def deploy(self, assembly: Assembly, say: Callable[[str], None]) -> bool:
        """Create or update the stack; False when the same was deployed already. Raises `DeploymentFailed`."""
        parameters = {name: value for name, value in PARAMETERS.items() if name in assembly.parameter_names}
        wanted = _digest(assembly, parameters)
        stack = self._stack()
        if stack is not None and self._deployed() == wanted:
            return False
        self._upload(assembly)
        if stack is not None and stack["StackStatus"] in _NEVER_COMPLETED:
            self._delete()
            stack = None
        started = time.monotonic()
        if stack is None:
            self._change("create_stack", parameters)
        else:
            known = {each["ParameterKey"] for each in stack.get("Parameters", [])}
            self._change("update_stack", parameters, keep=(known & assembly.parameter_names) - parameters.keys())
            self._refresh_code(assembly)
        self._require_same_template(assembly)
        self._s3.put_object(Bucket=ASSET_BUCKET, Key=_DEPLOYED_KEY, Body=wanted.encode())
        say(f"Deployed the stack {STACK_NAME} in {time.monotonic() - started:.1f} s.")
        return True

    def _client(self, service: str) -> Any:
        return self._session.create_client(  # pyright: ignore[reportUnknownMemberType]
            service,
            endpoint_url=self._environment["AWS_ENDPOINT_URL"],
            region_name=self._environment["AWS_REGION"],
            aws_access_key_id=self._environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 2}),
        )

    def _stack(self) -> dict[str, Any] | None:
        try:
            return self._cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        except ClientError as error:
            if _code(error) == "ValidationError":  # so CloudFormation says that a stack does not exist
                return None
            raise

    def _deployed(self) -> str | None:
        """The digest of what was deployed last with success."""
        try:
            return self._s3.get_object(Bucket=ASSET_BUCKET, Key=_DEPLOYED_KEY)["Body"].read().decode()
        except ClientError as error:
            if _code(error) in {"NoSuchKey", "NoSuchBucket"}:
                return None
            raise

    def _upload(self, assembly: Assembly) -> None:
        self._s3.create_bucket(Bucket=ASSET_BUCKET)
        for asset in assembly.assets:
            self._s3.put_object(Bucket=ASSET_BUCKET, Key=asset.key, Body=asset.content)
        self._s3.put_object(Bucket=ASSET_BUCKET, Key=_TEMPLATE_KEY, Body=assembly.template_text.encode())

    def _change(self, operation: str, parameters: Mapping[str, str], *, keep: AbstractSet[str] = frozenset()) -> None:
        """Create or update the stack and wait for the end; parameters in `keep` stay as `runctl deploy` set them."""
        given: list[dict[str, Any]] = [
            {"ParameterKey": key, "ParameterValue": each} for key, each in parameters.items()
        ]
        given += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(keep)]
        try:
            getattr(self._cloudformation, operation)(
                StackName=STACK_NAME,
                TemplateURL=f"{self._environment['AWS_ENDPOINT_URL']}/{ASSET_BUCKET}/{_TEMPLATE_KEY}",
                Parameters=given,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return
            raise DeploymentFailed(f"CloudFormation refused the template: {error}", hint=_HINT) from error
        status = self._settled_status()
        if status != ("CREATE_COMPLETE" if operation == "create_stack" else "UPDATE_COMPLETE"):
            raise DeploymentFailed(f"The stack {STACK_NAME} ended as {status}: {self._reason()}", hint=_HINT)

    def _refresh_code(self, assembly: Assembly) -> None:
        """Give functions the archive that lies under their key now.

        A key names the build for AWS. The one for this machine may change under it, with another Python, and then
        CloudFormation sees no change.
        """
        functions = self._client("lambda")
        wanted = {asset.key: b64encode(bytes.fromhex(asset.sha256)).decode() for asset in assembly.assets}
        for logical_id, key in assembly.function_keys.items():
            name = self._cloudformation.describe_stack_resource(StackName=STACK_NAME, LogicalResourceId=logical_id)[
                "StackResourceDetail"
            ]["PhysicalResourceId"]
            if functions.get_function_configuration(FunctionName=name)["CodeSha256"] != wanted[key]:
                functions.update_function_code(FunctionName=name, S3Bucket=ASSET_BUCKET, S3Key=key)

    def _delete(self) -> None:
        self._cloudformation.delete_stack(StackName=STACK_NAME)
        if (status := self._settled_status()) is not None:
            raise DeploymentFailed(f"The failed stack cannot be deleted: it is {status}.", hint=_HINT)

    def _settled_status(self) -> str | None:
        """The stack's status once CloudFormation is done with it; None when the stack is gone."""
        deadline = time.monotonic() + _LIMIT_S
        while (status := self.stack_status()) is not None and status.endswith("_IN_PROGRESS"):
            if time.monotonic() > deadline:
                raise DeploymentFailed(f"The stack {STACK_NAME} is still {status} after {_LIMIT_S:.0f} s.", hint=_HINT)
            time.sleep(_LOOK_EVERY_S)
        return status

    def _reason(self) -> str:
        """The resource that failed first, and why."""
        events = self._cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"] in _FAILED]
        if not failed:
            return "CloudFormation names no resource that failed."
        first = failed[-1]  # CloudFormation tells the newest event first
        reason = first.get("ResourceStatusReason", "no reason was given")
        return f"{first['LogicalResourceId']} ({first['ResourceType']}): {reason}"

    def _require_same_template(self, assembly: Assembly) -> None:
        body = self._cloudformation.get_template(StackName=STACK_NAME, TemplateStage="Original")["TemplateBody"]
        # botocore parses the body where it is JSON, and keeps the order of its keys.
        deployed = body if isinstance(body, str) else json.dumps(body)
        if _canonical(deployed) != _canonical(assembly.template_text):
            raise DeploymentFailed("What CloudFormation deployed is not the template of the assembly.", hint=_HINT)


_HINT: Final = "`runctl local logs` shows what the emulator logged."


def _digest(assembly: Assembly, parameters: Mapping[str, str]) -> str:
    parts = [assembly.template_sha256, json.dumps(dict(parameters), sort_keys=True)]
    parts += [f"{asset.key} {asset.sha256}" for asset in assembly.assets]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _canonical(template: str) -> str:
    return json.dumps(json.loads(template))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
