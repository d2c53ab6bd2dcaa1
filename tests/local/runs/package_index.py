"""A package index on this machine, with one package, that counts what it is asked and takes its time."""

import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

NAME = "brisk_kites"
WHEEL = f"{NAME}-1.0-py3-none-any.whl"
PAUSE_S = 3.0
"""Before each answer: two of them make a set-up that is worth keeping."""


class PackageIndex:
    """What was asked of it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/simple/"
        self.asked: list[str] = []


def _wheel() -> bytes:
    files = {
        f"{NAME}.py": "WIND = 7\n",
        f"{NAME}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
        f"{NAME}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{NAME}-1.0.dist-info/RECORD", "".join(f"{path},,\n" for path in files))
    return body.getvalue()


@contextmanager
def package_index() -> Iterator[PackageIndex]:
    """Serve it on the loopback."""
    wheel = _wheel()
    page = f'<!DOCTYPE html><a href="../../files/{WHEEL}">{WHEEL}</a>'.encode()

    class Handler(BaseHTTPRequestHandler):
        """PEP 503: a page a package, with links to its files."""

        def do_GET(self) -> None:
            """Answer, slowly."""
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            """Answer how large it is."""
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            index.asked.append(self.path)
            time.sleep(PAUSE_S)
            is_wheel = self.path.endswith(".whl")
            body = wheel if is_wheel else page
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream" if is_wheel else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = PackageIndex(server.server_address[1])
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
