"""Posting to Slack: an incoming webhook takes JSON by HTTPS."""

import http.client
import json
from contextlib import closing
from typing import Final
from urllib.parse import SplitResult, urlsplit

from runctl.model.slack import SlackAnswer

_PATIENCE_S: Final = 5.0
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_HEADERS: Final = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "runctl"}


class SlackPosts:
    """Posts once, and says what came back. Nothing that leaves here names the address, and a redirect is not followed:
    what runs say is meant for the address that was given."""

    def post(self, url: str, text: str) -> SlackAnswer:
        """Post a text (Slack documentation, "Sending messages using incoming webhooks")."""
        try:
            return _exchange(urlsplit(url), json.dumps({"text": text}).encode())
        except (OSError, http.client.HTTPException):
            return SlackAnswer(status=None)


def _exchange(place: SplitResult, body: bytes) -> SlackAnswer:
    with closing(_connection(place)) as connection:
        connection.request("POST", place._replace(scheme="", netloc="").geturl() or "/", body, _HEADERS)
        answer = connection.getresponse()
        return SlackAnswer(answer.status, _seconds(answer.getheader("Retry-After")))


def _connection(place: SplitResult) -> http.client.HTTPConnection:
    """A connection that is made when it is used. In the clear only to this machine itself."""
    host = place.hostname or ""
    if place.scheme == "http" and host in _LOOPBACK:
        return http.client.HTTPConnection(host, place.port, timeout=_PATIENCE_S)
    return http.client.HTTPSConnection(host, place.port, timeout=_PATIENCE_S)


def _seconds(header: str | None) -> float | None:
    """Read `Retry-After` in seconds, as Slack writes it; a date is waited for like nothing."""
    try:
        return max(0.0, float(header or ""))
    except ValueError:
        return None
