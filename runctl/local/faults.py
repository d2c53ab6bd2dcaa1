"""Asks a running local cloud for faults: an interruption, a dead host, no capacity."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, cast

from runctl.errors import NotFoundError, RunctlError
from runctl.local.errors import FaultRefused, LocalCloudDown

_TIMEOUT_S = 30.0


class Faults:
    """A client of the front's own calls, `POST /_runctl/…`."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        # The loopback needs no proxy, whatever the environment says.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def interrupt(self, instance_id: str, notice_s: float) -> dict[str, Any]:
        """Warn a spot instance, and take it back after `notice_s`. Raises `NotFoundError` and `FaultRefused`."""
        return self._post("interrupt", {"instance_id": instance_id, "notice_s": notice_s})

    def kill(self, instance_id: str, *, silent: bool = False) -> dict[str, Any]:
        """Let an instance's host fail at once; `silent`: EC2 does not notice."""
        return self._post("kill", {"instance_id": instance_id, "silent": silent})

    def no_capacity(self, pools: Sequence[str], for_s: float) -> dict[str, Any]:
        """Have EC2 answer that these capacity pools are empty, for a while."""
        return self._post("no-capacity", {"pools": list(pools), "for_s": for_s})

    def _post(self, what: str, document: Mapping[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._endpoint_url}/_runctl/{what}",
            data=json.dumps(document).encode(),
            headers={"content-type": "application/json"},
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                return cast("dict[str, Any]", json.loads(response.read() or b"{}"))
        except urllib.error.HTTPError as error:
            raise _refusal(error.code, error.read()) from error
        except urllib.error.URLError as error:
            raise LocalCloudDown(
                f"The local target does not answer: {error.reason}", hint="Start it with `runctl local up`."
            ) from error


def _refusal(status: int, body: bytes) -> RunctlError:
    """The error for an answer other than 2xx, in the front's own words."""
    try:
        said = cast("dict[str, Any]", json.loads(body))
    except ValueError:
        said = {}
    message = str(said.get("message") or said.get("error") or body.decode(errors="replace"))
    kind = NotFoundError if status == 404 else FaultRefused
    return kind(message, hint=str(said.get("hint", "")))
