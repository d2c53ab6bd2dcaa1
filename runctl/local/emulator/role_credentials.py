"""Credentials of a role, as a machine's metadata service hands them out."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from runctl.local.emulator.seam import module

LIFETIME_S: Final = 6 * 3600
"""EC2 says only that they change before they expire (EC2 User Guide, "Retrieve security credentials from instance
metadata"); six hours is what instances show."""


def create_role_credentials(role_arn: str, instance_id: str) -> dict[str, str]:
    """Make a session of the role for an instance, with the fields of IMDS.

    These are `AccessKeyId`, `SecretAccessKey`, `Token` and `Expiration`. To STS the caller is then
    `<role id>:<instance id>`, which is the `aws:userid` of policies. May be called from any thread.
    """
    sts, iam = module("services.sts"), module("services.iam")
    account_id, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    access_key, secret, token = iam._gen_session_access_key(), iam._gen_secret(), iam._gen_session_token()
    expires_at = time.time() + LIFETIME_S
    sts.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{account_id}:assumed-role/{role_name}/{instance_id}",
            "UserId": f"{sts._role_id(role_arn)}:{instance_id}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": expires_at,
            "AccountId": account_id,
            "PrincipalType": "AssumedRole",
        },
    )
    return {
        "AccessKeyId": access_key,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
