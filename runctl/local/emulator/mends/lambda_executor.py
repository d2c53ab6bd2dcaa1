"""Functions of Python run in execution environments of our own; their errors keep their names.

ministack reports every exception as `Runtime.HandlerError`, kills the environment after one, waits up to 50 ms for the
log of each invocation, and keeps one environment of each function for ever and those of a burst for minutes. Here an
exception goes out under its class name (Lambda Developer Guide, "Lambda function errors in Python"), the environment
lives on, and idle ones end.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from runctl.local.emulator.lambdas.environment import Environment
from runctl.local.emulator.lambdas.nursery import Nurseries
from runctl.local.emulator.mends.running import CURRENT
from runctl.local.emulator.seam import module, replace
from runctl.local.emulator.service_rights import role_allows
from runctl.local.emulator.settings import IDLE_NURSERY_S, WARM_ENVIRONMENTS

_INVOKE: Final = "lambda:InvokeFunction"


def apply(functions_dir: Path) -> Nurseries:
    """Replace the warm executor, the choice of an environment's class, and the reaper of idle environments.

    Code is unpacked below `functions_dir`. The nurseries are returned so that the process can end them.
    """
    nurseries = Nurseries(functions_dir)
    service = module("services.lambda_svc")
    runtime = module("core.lambda_runtime")
    states = module("services.stepfunctions")

    def execute_warm(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        """Run one invocation in a free environment of the function, or in a new one."""
        config: dict[str, Any] = func.get("config") or func
        service._ensure_reaper_thread()
        environment, _ = runtime.acquire_worker(
            config["FunctionName"], config, func.get("code_zip"), qualifier=config.get("Version", "$LATEST")
        )
        try:
            answer = environment.invoke(event, request_id, invoked_function_arn=config.get("FunctionArn", ""))
        finally:
            runtime.release_worker(environment)
            end_surplus()
        if answer["status"] == "ok":
            return {"body": answer["result"], "log": answer["log"]}
        return {"body": answer["error"], "error": True, "function_error": "Unhandled", "log": answer["log"]}

    def end_surplus() -> None:
        """End the environments that stood idle for longest, as far as there are too many of all functions together."""
        with runtime._lock:
            alive = [(key, each) for key, environments in runtime._workers.items() for each in environments]
            idle = sorted((pair for pair in alive if not pair[1].in_use), key=lambda pair: pair[1].last_used)
            surplus = idle[: max(0, len(alive) - WARM_ENVIRONMENTS)]
            for key, each in surplus:
                runtime._workers[key].remove(each)
        runtime.kill_workers([each for _, each in surplus])

    def environment_class(config: dict[str, Any]) -> Any:
        """The class of a new environment: ours for Python, ministack's for what else there is."""
        return (
            partial(Environment, nurseries)
            if config.get("Runtime", "").startswith("python")
            else original_class(config)
        )

    def reap_idle(ttl: float | None = None) -> int:
        """End the environments that stood idle for `ttl` seconds, the last one of a function too; say how many."""
        oldest = time.time() - (runtime._LOCAL_WORKER_TTL if ttl is None else ttl)
        ended: list[Any] = []
        with runtime._lock:
            for key, environments in list(runtime._workers.items()):
                kept = [each for each in environments if each.in_use or each.last_used >= oldest]
                ended += [each for each in environments if each not in kept]
                runtime._workers[key] = kept
                if not kept:
                    del runtime._workers[key]
        runtime.kill_workers(ended)
        with runtime._lock:
            left = [each for environments in runtime._workers.values() for each in environments]
        nurseries.end_idle(
            time.time() - IDLE_NURSERY_S, {each.code_dir for each in left if isinstance(each, Environment)}
        )
        return len(ended)

    def call_lambda(func_ref: str, event: Any) -> Any:
        """Invoke a function for a Task state. A throttle is the error that AWS names so."""
        func, config, name = service._get_func_record_for_ref(func_ref)
        if not func or not config:
            raise states._ExecutionError("Lambda.ResourceNotFoundException", f"Function not found: {name}")
        current = CURRENT.get(None)
        if current is not None and not role_allows(current.role_arn, _INVOKE, config["FunctionArn"]):
            # The name and the words are AWS's, however general the one and long the other.
            raise states._ExecutionError(
                "Lambda.AWSLambdaException",
                f"User: {current.role_arn} is not authorized to perform: {_INVOKE} on resource: "
                f"{config['FunctionArn']} because no identity-based policy allows the {_INVOKE} action "
                "(Service: AWSLambda; Status Code: 403; Error Code: AccessDeniedException)",
            )
        record = service._execution_record_for_config(func, config)
        answer = service._execute_function_with_config_scope(record, event)
        if answer.get("throttle"):
            raise states._ExecutionError("Lambda.TooManyRequestsException", answer["body"]["message"])
        if answer.get("error"):
            body = answer["body"]
            raise states._ExecutionError(body.get("errorType", "Lambda.Unknown"), states.json.dumps(body))
        return answer["body"]

    replace(service, "_execute_function_warm", "func, event, request_id", execute_warm)
    original_class = replace(runtime, "_worker_class_for", "config", environment_class)
    replace(runtime, "reap_idle_workers", "ttl", reap_idle)
    replace(service, "reap_idle_workers", "ttl", reap_idle)
    replace(states, "_call_lambda", "func_ref, event", call_lambda)
    return nurseries
