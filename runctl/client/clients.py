"""Clients of one account and Region, or of the cloud on this machine: each is made when it is first needed."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config

from runctl.aws.clients import CONFIG
from runctl.aws.errors import aws_errors
from runctl.errors import ConfigurationError, CredentialsError

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

_NOTHING_ELSE: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Session variables of botocore for a session that is given all it needs: a profile of the person's, perhaps one that
does not exist, has no say in it."""


class Clients:
    """Makes a service's client once. Making one takes tens of milliseconds."""

    def __init__(self, session: boto3.Session, *, endpoint_url: str | None = None) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        is_loopback = endpoint_url is not None and urlsplit(endpoint_url).hostname in _LOOPBACK
        # Whatever the environment says, the loopback needs no proxy.
        self._extra = Config(proxies={}) if is_loopback else Config()
        self._made: dict[str, Any] = {}

    @property
    def region(self) -> str:
        """The Region that is worked in."""
        return self._session.region_name

    def get(self, service: str, config: Config = CONFIG) -> Any:
        """Answer a service's client. Which one it is, only its gateway says; boto3's own types want a literal."""
        if service not in self._made:
            make: Callable[..., Any] = cast("Any", self._session).client
            self._made[service] = make(service, endpoint_url=self._endpoint_url, config=config.merge(self._extra))
        return self._made[service]


def find_clients(
    *, profile: str | None = None, region: str | None = None, environment: Mapping[str, str] | None = None
) -> Clients:
    """Find credentials and Region as the AWS CLI would; `profile` and `region` weigh more.

    `environment` stands for the process's own: then `AWS_ENDPOINT_URL`, the keys and the Region are taken from it and
    nothing else is looked at. Raises CredentialsError, ConfigurationError.
    """
    with aws_errors():
        if environment is not None:
            return Clients(_given_session(environment), endpoint_url=environment["AWS_ENDPOINT_URL"])
        # boto3 knows AWS_DEFAULT_REGION only. For the AWS CLI and every other SDK AWS_REGION weighs more (AWS SDKs and
        # Tools Reference Guide, "AWS Region"): what is deployed should be where they look for it.
        wanted = region or os.environ.get("AWS_REGION") or None
        session = boto3.Session(profile_name=profile, region_name=wanted)
        if session.get_credentials() is None:
            raise CredentialsError(
                "There are no AWS credentials.",
                hint="Log in (aws sso login), set AWS_PROFILE, or use the cloud on this machine: --target local",
            )
        if not session.region_name:
            raise ConfigurationError(
                "There is no AWS Region to work in.",
                hint="Set AWS_REGION, or region in [aws] of .runctl.toml, e.g. eu-central-1.",
            )
        return Clients(session)


def _given_session(environment: Mapping[str, str]) -> boto3.Session:
    core = botocore.session.Session(session_vars=_NOTHING_ELSE)
    core.set_credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    return boto3.Session(botocore_session=core, region_name=environment["AWS_REGION"])
