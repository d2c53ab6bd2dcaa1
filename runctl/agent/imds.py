"""The instance metadata service, version 2 (EC2 User Guide, "Use the Instance Metadata Service")."""

import http.client
import os
import urllib.error
import urllib.request

DEFAULT_ENDPOINT = "http://169.254.169.254"
TOKEN_TTL_S = 21_600
TIMEOUT_S = 2.0
"""Link-local answers come in milliseconds; the notice is polled every two seconds."""

_UNAUTHORIZED = 401
_NOT_FOUND = 404


class Imds:
    """A client that keeps its session token and renews it when it is refused."""

    def __init__(self, endpoint: str | None = None) -> None:
        chosen = endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT
        self._endpoint = chosen.rstrip("/")
        self._token = ""
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
                return answer.read().decode()
        except http.client.HTTPException as error:  # an answer that breaks off is no OSError
            raise OSError(f"{type(error).__name__}: {error}") from error
