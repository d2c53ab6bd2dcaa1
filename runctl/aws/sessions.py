"""Session Manager: a way into a machine that needs no open port and no key."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runctl.aws.errors import aws_errors
from runctl.model.ids import InstanceId

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

_FORWARDING: Final = "AWS-StartPortForwardingSession"
"""AWS's own document (Systems Manager User Guide, "Starting a session (port forwarding)")."""


@dataclass(frozen=True)
class Session:
    """A session that was begun, as the Session Manager plugin wants to hear of it."""

    response: dict[str, str]
    """`SessionId`, `StreamUrl` and `TokenValue`: whoever has them is in. Never logged."""
    request: dict[str, Any]
    region: str
    endpoint_url: str

    @property
    def session_id(self) -> str:
        """AWS's name of it."""
        return self.response["SessionId"]


class Sessions:
    """Begins and ends sessions."""

    def __init__(self, client: "SSMClient") -> None:
        self._client = client

    def shell(self, instance_id: InstanceId) -> Session:
        """Begin a session for a shell: what a session without a document is (Systems Manager API Reference,
        "StartSession"). Raises PermissionDenied, AwsError."""
        return self._begin({"Target": instance_id})

    def forwarding(self, instance_id: InstanceId, local_port: int, remote_port: int) -> Session:
        """Begin a session that brings a port of the machine here. Raises PermissionDenied, AwsError."""
        ports = {"portNumber": [str(remote_port)], "localPortNumber": [str(local_port)]}
        return self._begin({"Target": instance_id, "DocumentName": _FORWARDING, "Parameters": ports})

    def end(self, session_id: str) -> None:
        """End a session; one that has ended already is fine."""
        with aws_errors():
            self._client.terminate_session(SessionId=session_id)

    def _begin(self, request: dict[str, Any]) -> Session:
        with aws_errors():
            answer = self._client.start_session(**request)
        return Session(
            response={name: str(answer.get(name, "")) for name in ("SessionId", "TokenValue", "StreamUrl")},
            request=request,
            region=self._client.meta.region_name,
            endpoint_url=str(self._client.meta.endpoint_url),
        )
