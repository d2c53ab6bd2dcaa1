"""The instance metadata service, version 2 (EC2 User Guide, "Use the Instance Metadata Service")."""

import http.client
import os
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

DEFAULT_ENDPOINT = "http://169.254.169.254"
TOKEN_TTL_S = 21_600
TIMEOUT_S = 2.0
"""Link-local answers come in milliseconds; the notice is polled every two seconds."""

LEAST_ERROR_S = 30.0
"""Less is not worth correcting: AWS refuses signatures that are older than five minutes (IAM User Guide, "Signature
Version 4"), and a date in HTTP has whole seconds."""

_UNAUTHORIZED = 401
_NOT_FOUND = 404


class Imds:
    """A client that keeps its session token and renews it when it is refused."""

    def __init__(self, endpoint: str | None = None) -> None:
        chosen = endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT
        self._endpoint = chosen.rstrip("/")
        self._token = ""
        self._date = ""
        self._date_at = 0.0
        # Metadata is link-local and never behind a proxy.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> str | None:
        """Read `/latest/meta-data/<path>`; None when there is no such item. Raises OSError when IMDS is not there."""
        for fresh in (not self._token, True):
            if fresh:
                self._token = self._new_token()
            request = urllib.request.Request(
                f"{self._endpoint}/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": self._token}
            )
            try:
                return self._read(request)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == _NOT_FOUND:
                    return None
                if error.code != _UNAUTHORIZED or fresh:
                    raise
        return None

    def clock_error_s(self) -> float:
        """Say how much the machine's time of day is ahead of the service's, which tells it with every answer; 0 when
        that is little, or when nothing was asked yet."""
        told = parsedate_to_datetime(self._date).timestamp() if self._date else self._date_at
        error_s = self._date_at - told
        return error_s if abs(error_s) >= LEAST_ERROR_S else 0.0

    def require(self, path: str) -> str:
        """Read an item that every machine of ours has. Raises OSError when it is missing."""
        found = self.get(path)
        if found is None:
            raise OSError(f"the instance metadata has no {path}")
        return found

    def _new_token(self) -> str:
        request = urllib.request.Request(f"{self._endpoint}/latest/api/token", method="PUT")
        request.add_header("X-aws-ec2-metadata-token-ttl-seconds", str(TOKEN_TTL_S))
        return self._read(request)

    def _read(self, request: urllib.request.Request) -> str:
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                self._date, self._date_at = answer.headers.get("Date", ""), time.time()
                return answer.read().decode()
        except http.client.HTTPException as error:  # an answer that breaks off is no OSError
            raise OSError(f"{type(error).__name__}: {error}") from error
