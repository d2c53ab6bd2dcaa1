"""The process from which execution environments are forked, and what one does. Standard library only.

Run as a script with the descriptor of its control socket, the directory of the code and names of modules to import
first. A new environment is asked for with a line on the control socket that carries two descriptors: its connection and
its log. Environments end with the control socket, so that none outlives the emulator, however that ended, and when
their own connection closes.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

_REAP_EVERY_S = 5.0


class LambdaContext:
    """What a handler gets as its second argument (Lambda Developer Guide, "Python context object")."""

    identity = None
    client_context = None

    def __init__(self, request: dict[str, Any]) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn: str = request["invoked_function_arn"]
        self.aws_request_id: str = request["request_id"]
        self._deadline = time.time() + request["timeout_s"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function times out."""
        return max(0, int((self._deadline - time.time()) * 1000))


def main(control_fd: int, code_dir: str, preload: list[str]) -> None:
    """Import what all environments share, then fork one for each request until the emulator is gone."""
    control = socket.socket(fileno=control_fd)
    sys.path.insert(0, code_dir)
    for name in preload:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    gc.collect()
    # Or the first collection in an environment writes to every page that it shares with this process (gc.freeze).
    gc.freeze()
    alive: set[int] = set()
    while True:
        readable, _, _ = select.select([control], [], [], _REAP_EVERY_S)
        _reap(alive)
        if not readable:
            continue
        line, descriptors, _, _ = socket.recv_fds(control, 256, 2)
        if not line:
            _kill(alive)
            return
        request = json.loads(line)
        if "kill" in request:
            if request["kill"] in alive:
                os.kill(request["kill"], signal.SIGKILL)
            control.sendall(b"0\n")
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            _be_an_environment(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        alive.add(pid)
        control.sendall(f"{pid}\n".encode())


def _reap(alive: set[int]) -> None:
    """Collect the environments that have ended."""
    while alive:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        alive.discard(pid)


def _kill(alive: set[int]) -> None:
    """End the environments, also one in the middle of an invocation whose services are gone with the emulator."""
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def _be_an_environment(connection_fd: int, log_fd: int) -> NoReturn:
    """Initialise the function and serve its invocations; never returns."""
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)
    sys.stdout = os.fdopen(1, "w", buffering=1, errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="replace", closefd=False)
    connection = Connection(connection_fd)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    init = json.loads(connection.recv_bytes())
    os.environ.clear()
    os.environ.update(init["environment"])
    time.tzset()
    os.chdir(init["code_dir"])

    def listen() -> None:
        try:
            while True:
                requests.put(json.loads(connection.recv_bytes()))
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    module_name, _, function_name = init["handler"].rpartition(".")
    answer, handler = _initialise(module_name.replace("/", "."), function_name)
    while True:
        _finish(connection, answer)
        if answer["status"] == "exit":
            os._exit(1)
        request = requests.get()
        answer = _invoke(handler, request)


def _finish(connection: Connection, answer: dict[str, Any]) -> None:
    """End the log of this invocation with a line of its own kind, then answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(2, b"\0\n")
    try:
        connection.send_bytes(json.dumps(answer).encode())
    except OSError:
        os._exit(0)


def _initialise(module_name: str, function_name: str) -> tuple[dict[str, Any], Any]:
    """Import the handler. What goes wrong is told under the names that Lambda's Python runtime uses."""
    try:
        handler = getattr(importlib.import_module(module_name), function_name)
    except ImportError as error:
        return _failure("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}", error), None
    except AttributeError as error:
        text = f"Handler '{function_name}' missing on module '{module_name}'"
        return _failure("Runtime.HandlerNotFound", text, error), None
    except BaseException as error:  # noqa: BLE001 - the runtime's boundary: module code may raise anything
        return _failure(type(error).__name__, str(error), error), None
    return {"status": "ready"}, handler


def _invoke(handler: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Call the handler. An exception is an answer; a call of `sys.exit` ends the environment."""
    os.environ["_X_AMZN_TRACE_ID"] = request["trace_id"]
    try:
        result = handler(request["event"], LambdaContext(request))
    except SystemExit as error:
        text = f"RequestId: {request['request_id']} Error: Runtime exited without providing a reason"
        return {**_failure("Runtime.ExitError", text, error), "status": "exit"}
    except BaseException as error:  # noqa: BLE001 - the runtime's boundary: a handler may raise anything
        return _failure(type(error).__name__, str(error), error)
    try:
        json.dumps(result)
    except (TypeError, ValueError) as error:
        return _failure("Runtime.MarshalError", f"Unable to marshal response: {error}", error)
    return {"status": "ok", "result": result}


def _failure(error_type: str, message: str, error: BaseException) -> dict[str, Any]:
    """The answer for an error, which is written to the log as well, as Lambda does."""
    trace: TracebackType | None = error.__traceback__
    # The first frame is this file's call of the handler, which no user wants to read.
    frames = traceback.format_list(traceback.extract_tb(trace)[1:])
    sys.stdout.write(f"[ERROR] {error_type}: {message}\nTraceback (most recent call last):\n{''.join(frames)}")
    return {
        "status": "error",
        "error": {"errorMessage": message, "errorType": error_type, "stackTrace": frames},
    }


if __name__ == "__main__":
    # The script's own folder must not stand on the path: names in it are not a function's.
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).parent]
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
