"""Clients of somebody who is not the account's root."""

from collections.abc import Mapping
from typing import Any

import boto3


def client_of_role(environment: Mapping[str, str], service: str, role_arn: str, session: str = "test") -> Any:
    """Make a client with the credentials of a role, which the account's root takes on."""

    def client(name: str, **credentials: str) -> Any:
        return boto3.client(
            name,  # pyright: ignore[reportArgumentType]
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            **credentials,  # pyright: ignore[reportArgumentType]
        )

    root = client(
        "sts",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    found = root.assume_role(RoleArn=role_arn, RoleSessionName=session)["Credentials"]
    return client(
        service,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
