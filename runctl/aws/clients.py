"""How boto3's clients are made: retries, timeouts, signatures. Sessions are passed in; nothing global is kept."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Protocol

from botocore.config import Config

# "standard" retries throttles, 5xx and lost connections with jitter, and has a token bucket against storms
# (AWS SDKs and Tools Reference Guide, "Retry behavior").
CONFIG: Final = Config(
    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=3, read_timeout=20, user_agent_extra="runctl"
)
"""For every service that has none of its own here. A call that hangs must leave its function time to fail loudly."""

EC2_CONFIG: Final = CONFIG.merge(Config(read_timeout=50))
"""CreateFleet answers an instant fleet only when every pool has been tried. Less than the functions' timeout, 60 s."""

S3_CONFIG: Final = CONFIG.merge(
    Config(signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"})
)
"""Links are signed with version 4 in every Region; version 2, botocore's default for links in the oldest ones, is not
accepted for buckets with SSE-KMS and has no end of its own (S3 API Reference, "Authenticating Requests"). They name the
Region's endpoint, for botocore's default in links is the global one, which answers for a young bucket elsewhere with a
redirect that breaks the signature, and in Regions launched after March 2019 with 400 (S3 User Guide, "Making requests
using the REST API", "Request redirection"). An endpoint that is an IP address keeps the bucket in the path."""

LAMBDA_CONFIG: Final = CONFIG.merge(Config(read_timeout=70))
"""A synchronous invocation answers when the function has ended: more than the functions' timeout, 60 s."""


class ClientMaker(Protocol):
    """A boto3 session, as far as we use it. Whoever asks for a client says its type: boto3 cannot."""

    def client(self, service_name: Any, *, config: Config | None = None) -> Any:
        """Make a client of a service."""
        ...


class LazyClient:
    """Stands for a client that is made when something of it is first asked for.

    A function is given all ports that its step may need, and most invocations need two of them. Making a client costs
    tens of milliseconds, of EC2 and its large model more.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    @cached_property
    def _made(self) -> Any:
        return self._make()
