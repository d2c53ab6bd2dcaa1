"""AWS that agrees to everything: S3 keeps the size of what it is given, the other services count their calls."""

import http.server
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_CHUNK_BYTES = 256 * 1024


class Sink:
    """What arrived, by key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sizes: dict[str, int] = {}
        self.parts: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        """Of the services that are asked in JSON, by target."""
        self.objects: dict[str, bytes] = {}
        """What S3 answers, by key."""
        self.metadata: dict[str, str] = {}
        """What IMDS answers, by path."""
        self.lock = threading.Lock()


@contextmanager
def aws_sink() -> Iterator[Sink]:
    """Serve on the loopback while the block runs."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    sink = Sink(f"http://127.0.0.1:{server.server_port}")
    server.sink = sink  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        key, _ = self._place()
        sink: Sink = self.server.sink  # type: ignore[attr-defined]
        path = self.path.removeprefix("/latest/meta-data/")
        body = sink.metadata[path].encode() if path in sink.metadata else sink.objects.get(key)
        if body is not None and (wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))):
            self._answer(body[int(wanted[1]) : int(wanted[2]) + 1], status=206)
        else:
            self._answer(body or b"", status=404 if body is None else 200)

    def do_PUT(self) -> None:
        key, query = self._place()
        size = self._swallow()
        sink: Sink = self.server.sink  # type: ignore[attr-defined]
        with sink.lock:
            sink.sizes[key] = sink.sizes.get(key, 0) + size if "partNumber" in query else size
            sink.parts[key] = sink.parts.get(key, 0) + 1
        self._answer(b"token" if "/api/token" in self.path else b"", etag='"sum"')

    def do_POST(self) -> None:
        key, query = self._place()
        self._swallow()
        target = self.headers.get("x-amz-target", "")
        if target:
            sink: Sink = self.server.sink  # type: ignore[attr-defined]
            with sink.lock:
                sink.calls[target.rpartition(".")[2]] += 1
            self._answer(b'{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}' if "Events" in target else b"{}")
        elif "uploads" in query:
            self._answer(f"<InitiateMultipartUploadResult><UploadId>u</UploadId><Key>{key}</Key></Initiate"
                         "MultipartUploadResult>".encode())  # fmt: skip
        else:
            self._answer(b"<CompleteMultipartUploadResult><ETag>sum</ETag></CompleteMultipartUploadResult>")

    def _place(self) -> tuple[str, dict[str, list[str]]]:
        url = urlsplit(self.path)
        return re.sub(r"^/[^/]+/", "", unquote(url.path)), parse_qs(url.query, keep_blank_values=True)

    def _swallow(self) -> int:
        left = size = int(self.headers.get("content-length", "0"))
        while left:
            left -= len(self.rfile.read(min(left, _CHUNK_BYTES)))
        return size

    def _answer(self, body: bytes, etag: str = "", status: int = 200) -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
