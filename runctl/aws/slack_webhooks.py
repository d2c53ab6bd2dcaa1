"""The addresses of Slack webhooks, kept as secrets: SecureString parameters of Systems Manager.

Whoever has such an address may post, so that it stands in no table, log or template. The parameter's name shows the
host and a fingerprint; only the function that posts asks for the address itself. AWS's own key `aws/ssm` encrypts:
standard parameters and that key cost nothing while nobody asks (AWS Systems Manager pricing, AWS KMS pricing).
"""

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from runctl.aws.errors import aws_errors
from runctl.aws.subscriptions import Subscription, Subscriptions
from runctl.errors import AwsError
from runctl.model.keys import slack_webhooks_path
from runctl.model.names import Tag

if TYPE_CHECKING:
    from types_boto3_ssm import SSMClient

SLACK_WEBHOOK: Final = "slack-webhook"
"""What stands in the place of a protocol of SNS."""

_MASK: Final = "/****"
_FINGERPRINT: Final = 16
"""Hexadecimal digits. A webhook's address ends in 24 random characters, which nobody finds by trying."""


class SlackWebhooks:
    """Adds, lists and removes them."""

    def __init__(self, client: "SSMClient", stack_name: str) -> None:
        self._client = client
        self._stack_name = stack_name
        self._path = slack_webhooks_path(stack_name)

    def add(self, url: str) -> Subscription:
        """Keep an address; adding it twice is fine."""
        name = self._name(url)
        try:
            with aws_errors():
                self._client.put_parameter(
                    Name=name,
                    Description="Where runctl posts what it tells people: runctl notify",
                    Value=url,
                    Type="SecureString",
                    Tags=[{"Key": Tag.STACK.value, "Value": self._stack_name}],
                )
        except AwsError as error:
            if error.aws_code != "ParameterAlreadyExists":
                raise
        return self._shown(name)

    def all(self) -> tuple[Subscription, ...]:
        """All of them, masked."""
        return tuple(self._shown(name) for name in self.names())

    def remove(self, endpoint: str) -> int:
        """Forget one, by its address or by what `all` shows of it; answers how many there were."""
        masked = {self._shown(name).endpoint: name for name in self.names()}
        name = masked.get(endpoint, self._name(endpoint) if _MASK not in endpoint else "")
        if name not in masked.values():
            return 0
        return 1 if self._delete(name) else 0

    def clear(self) -> int:
        """Forget all; answers how many there were."""
        names = self.names()
        for name in names:
            self._delete(name)
        return len(names)

    def names(self) -> tuple[str, ...]:
        """Names of the parameters; the addresses are not read for that."""
        with aws_errors():
            pages = self._client.get_paginator("describe_parameters").paginate(
                ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": [self._path]}]
            )
            return tuple(each.get("Name", "") for page in pages for each in page["Parameters"])

    def url(self, name: str) -> str | None:
        """The address itself; None when it was removed meanwhile."""
        try:
            with aws_errors():
                answer = self._client.get_parameter(Name=name, WithDecryption=True)
        except AwsError as error:
            if error.aws_code != "ParameterNotFound":
                raise
            return None
        return answer["Parameter"].get("Value")

    def _delete(self, name: str) -> bool:
        try:
            with aws_errors():
                self._client.delete_parameter(Name=name)
        except AwsError as error:
            if error.aws_code != "ParameterNotFound":
                raise
            return False
        return True

    def _name(self, url: str) -> str:
        digest = hashlib.sha256(url.encode()).hexdigest()[:_FINGERPRINT]
        host = "".join(
            each if each.isascii() and (each.isalnum() or each in ".-") else "_" for each in urlsplit(url).netloc
        )
        return f"{self._path}/{host}/{digest}"

    def _shown(self, name: str) -> Subscription:
        host, _, fingerprint = name.removeprefix(f"{self._path}/").partition("/")
        return Subscription(SLACK_WEBHOOK, f"https://{host}{_MASK}{fingerprint}", is_confirmed=True)


class Audience:
    """All who hear what is told: who subscribed to the topic, and channels of Slack."""

    def __init__(self, subscriptions: Subscriptions, webhooks: SlackWebhooks) -> None:
        self._subscriptions = subscriptions
        self._webhooks = webhooks

    def add(self, protocol: str, endpoint: str) -> Subscription:
        """Let somebody hear; adding twice is fine."""
        if protocol == SLACK_WEBHOOK:
            return self._webhooks.add(endpoint)
        return self._subscriptions.add(protocol, endpoint)

    def all(self) -> tuple[Subscription, ...]:
        """All of them; addresses of webhooks are masked."""
        return (*self._subscriptions.all(), *self._webhooks.all())

    def remove(self, endpoint: str) -> int:
        """Let an endpoint hear no more; answers how many subscriptions it had."""
        return self._subscriptions.remove(endpoint) or self._webhooks.remove(endpoint)
