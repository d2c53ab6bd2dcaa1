"""Answers that break off: what may work the next time is an OSError, and ends nothing."""

import http.server
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from runctl.agent import bootstrap
from runctl.agent.imds import Imds
from runctl.agent.resume import HttpLinks


class _Handler(http.server.BaseHTTPRequestHandler):
    """Gives tokens, and breaks everything else off in the middle."""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_PUT(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"token")

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path.startswith("/link"):
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"ff\r\nhalf")
        else:
            self.send_header("content-length", "100")
            self.end_headers()
            self.wfile.write(b"half")


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_metadata_that_breaks_off_is_metadata_that_is_not_there(endpoint: str) -> None:
    """It is asked every second for days: one odd answer must not end the training."""
    with pytest.raises(OSError, match="IncompleteRead"):
        Imds(endpoint).get("spot/instance-action")


def test_a_link_that_breaks_off_is_tried_again(endpoint: str) -> None:
    with pytest.raises(OSError, match="IncompleteRead"):
        list(HttpLinks().read(f"{endpoint}/link", 0, 100))


def test_user_data_asks_again_when_an_answer_broke_off(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "IMDS", endpoint)
    monkeypatch.setattr(bootstrap, "TRIES", 2)
    waits: list[float] = []
    slow = ModuleType("time")
    slow.sleep = waits.append  # type: ignore[attr-defined]
    monkeypatch.setattr(bootstrap, "time", slow)

    with pytest.raises(Exception, match="IncompleteRead"):
        bootstrap.insist("reading the region", lambda: bootstrap.imds("placement/region"))

    assert len(waits) == 2
