"""One execution environment of a function: one invocation at a time, its log, its time limit, its errors."""

from __future__ import annotations

import json
import os
import selectors
import threading
import time
import uuid
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from runctl.local.emulator.lambdas.nursery import EnvironmentProcess, Nurseries
from runctl.local.emulator.seam import module

INIT_TIMEOUT_S: Final = 60.0
"""How long a cold start may take. AWS allows 10 s; here a burst of them may share two cores."""

_END_OF_LOG: Final = b"\0\n"
_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR")


class Environment:
    """An execution environment. ministack leases it by `in_use` and ends it through `_proc`."""

    def __init__(self, nurseries: Nurseries, func_name: str, config: dict[str, Any], code_zip: bytes) -> None:
        self.func_name = func_name
        self.config = config
        self.in_use = False
        self.last_used = time.time()
        self._nursery = nurseries.of(code_zip)
        self._proc: EnvironmentProcess | None = None
        self._lock = threading.Lock()

    @property
    def code_dir(self) -> Path:
        """Where the function's code lies."""
        return self._nursery.code_dir

    def invoke(self, event: Any, request_id: str, *, invoked_function_arn: str) -> dict[str, Any]:
        """Run one invocation: `{"status": "ok", "result", "log"}` or `{"status": "error", "error", "log"}`."""
        with self._lock:
            timeout_s = float(self.config.get("Timeout", 3))
            log = b""
            process = self._proc
            if process is None or process.poll() is not None:
                process, answer = self._spawn()
                log = answer.pop("log")
                if answer["status"] != "ready":
                    self._end(process)
                    return {"status": "error", "error": _with_request(answer["error"], request_id), "log": _text(log)}
            request = {
                "event": event,
                "request_id": request_id,
                "invoked_function_arn": invoked_function_arn,
                "timeout_s": timeout_s,
                "trace_id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            }
            process.connection.send_bytes(json.dumps(request).encode())
            answer = _answer(process, timeout_s)
            log += answer.pop("log")
            if answer["status"] == "silent":
                self._end(process)
                message = f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
                return {"status": "error", "error": _error("Sandbox.Timedout", message), "log": _text(log) + message}
            if answer["status"] == "gone":
                self._end(process)
                message = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
                return {"status": "error", "error": _error("Runtime.ExitError", message), "log": _text(log) + message}
            self.last_used = time.time()
            if answer["status"] == "ok":
                return {"status": "ok", "result": answer["result"], "log": _text(log)}
            return {"status": "error", "error": _with_request(answer["error"], request_id), "log": _text(log)}

    def _spawn(self) -> tuple[EnvironmentProcess, dict[str, Any]]:
        """Start the environment; the second part is its first answer, with its `log` as bytes."""
        init = {
            "environment": _variables(self.config, self.code_dir),
            "code_dir": str(self.code_dir),
            "handler": self.config["Handler"],
        }
        process = self._nursery.fork(init)
        self._proc = process
        answer = _answer(process, INIT_TIMEOUT_S)
        if answer["status"] in {"silent", "gone"}:
            text = f"The environment did not initialise within {INIT_TIMEOUT_S:.0f} seconds or ended before."
            answer = {**answer, "error": _error("Runtime.InvalidRuntime", text)}
        return process, answer

    def _end(self, process: EnvironmentProcess) -> None:
        process.terminate()
        self._proc = None

    def _discard_tmpdir(self) -> None:
        """ministack asks for it; the unpacked code is shared and stays."""


def _variables(config: dict[str, Any], code_dir: Path) -> dict[str, str]:
    """The environment of a function (Lambda Developer Guide, "Defined runtime environment variables")."""
    runtime = module("core.lambda_runtime")
    account_and_region = runtime._account_region_from_function_config(config)
    given: dict[str, str] = config.get("Environment", {}).get("Variables", {})
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **inherited,
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        "AWS_EC2_METADATA_DISABLED": "true",
        # Looking proxies up in a forked process ends it on macOS; there is nothing to look up on the loopback.
        "no_proxy": "*",
        **given,
        **runtime.execution_credentials(config),
        "AWS_REGION": account_and_region[1],
        "AWS_DEFAULT_REGION": account_and_region[1],
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{config['FunctionName']}",
        "AWS_LAMBDA_LOG_STREAM_NAME": uuid.uuid4().hex,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": str(code_dir),
        "_HANDLER": config["Handler"],
        "TZ": ":UTC",
    }


def _answer(process: EnvironmentProcess, timeout_s: float) -> dict[str, Any]:
    """The environment's next answer with the `log` before it; status `silent` after the time limit, `gone` at its end.

    Log and connection are read together: a function that logs much must not wait for a reader.
    """
    give_up_at = time.monotonic() + timeout_s
    log = bytearray()
    answer: dict[str, Any] | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(process.log_fd, selectors.EVENT_READ)
        selector.register(process.connection, selectors.EVENT_READ)
        while answer is None or _END_OF_LOG not in log:
            ready = selector.select(max(0.0, give_up_at - time.monotonic()))
            if not ready:
                return {"status": "silent", "log": bytes(log)}
            for key, _ in ready:
                if isinstance(key.fileobj, Connection):
                    answer = _received(process.connection)
                    selector.unregister(process.connection)
                elif not (chunk := os.read(process.log_fd, 65_536)):
                    return {"status": "gone", "log": bytes(log)}
                else:
                    log += chunk
            if answer is not None and answer["status"] == "gone":
                return {**answer, "log": bytes(log)}
    return {**answer, "log": bytes(log)}


def _received(connection: Connection) -> dict[str, Any]:
    try:
        return json.loads(connection.recv_bytes())
    except (EOFError, OSError):
        return {"status": "gone"}


def _error(error_type: str, message: str) -> dict[str, Any]:
    return {"errorMessage": message, "errorType": error_type}


def _with_request(error: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The error as the Python runtime reports it, request id included."""
    return {
        "errorMessage": error["errorMessage"],
        "errorType": error["errorType"],
        "requestId": request_id,
        "stackTrace": error.get("stackTrace", []),
    }


def _text(log: bytes) -> str:
    return log.decode(errors="replace").replace("\0\n", "")
