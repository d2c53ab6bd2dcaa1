"""Clients whose answers a test writes down beforehand; botocore's Stubber checks both sides against AWS's models."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from runctl.aws.clients import CONFIG

G = TypeVar("G")


@contextmanager
def stubbed(service: str, make: Callable[[Any], G]) -> Iterator[tuple[G, Stubber]]:
    """Make a gateway over a stubbed client; every answer that was written down must have been asked for."""
    client = boto3.client(service, region_name="us-east-1", config=CONFIG)
    with Stubber(client) as stubber:
        yield make(client), stubber
        stubber.assert_no_pending_responses()


def aws_says(code: str, message: str = "as AWS puts it", operation: str = "CreateFleet", **more: Any) -> ClientError:
    """Make what botocore raises when AWS answers with this code."""
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, operation)
