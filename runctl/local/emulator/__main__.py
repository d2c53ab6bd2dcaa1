"""The server's process: `python -m runctl.local.emulator <start request>`, detached from whoever started it.

The starter passes the writing end of a pipe and reads one JSON document from it: the record of the running server, or
why there is none. The end of the pipe without a document is a death that nobody foresaw; the log tells of it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict
from pathlib import Path

import psutil

from runctl.local.emulator.server import run
from runctl.local.emulator.settings import Settings
from runctl.local.errors import LocalCloudError
from runctl.local.record import CloudRecord, StartRequest


def main() -> None:
    """Detach, bind the port, serve until SIGTERM, and leave no record behind."""
    request = StartRequest.parse(sys.argv[1])
    # The starter made us the leader of a new session. The child of a leader can never get a terminal again, and is
    # nobody's child once the leader is gone, so that no starter has to collect it.
    if os.fork():
        os._exit(0)
    os.set_inheritable(request.ready_fd, False)
    state_dir = Path(request.state_dir)
    try:
        listener = _listener(request)
    except OSError as error:
        text = f"Port {request.port} on the loopback cannot be used: {error.strerror}."
        _answer(request, {"error": text, "hint": "Choose another with --port, or none for a free one."})
        return
    settings = Settings(state_dir=state_dir, port=listener.getsockname()[1], boot_delay_s=request.boot_delay_s)
    record = CloudRecord(
        pid=os.getpid(),
        started_at=psutil.Process().create_time(),
        port=settings.port,
        boot_delay_s=settings.boot_delay_s,
    )

    def ready() -> None:
        record.save(state_dir)
        _answer(request, asdict(record))

    try:
        run(settings, listener, ready=ready, is_wanted=lambda: record.is_current(state_dir))
    except LocalCloudError as error:
        _answer(request, {"error": error.message, "hint": error.hint})
    finally:
        if record.is_current(state_dir):
            CloudRecord.remove(state_dir)


def _listener(request: StartRequest) -> socket.socket:
    """A bound socket: on the port asked for, or on the one of the last time, or on a free one. Raises `OSError`."""
    wanted = [request.port] if request.port else [request.preferred_port, 0]
    for port in wanted[:-1]:
        try:
            return _bound(port)
        except OSError:
            continue
    return _bound(wanted[-1])


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def _answer(request: StartRequest, document: dict[str, object]) -> None:
    """Tell the starter, who may have gone meanwhile, once."""
    try:
        os.write(request.ready_fd, json.dumps(document).encode())
        os.close(request.ready_fd)
    except OSError:
        return


if __name__ == "__main__":
    main()
