"""Holding a function back, and looking at what is written meanwhile: how an order of events is forced.

A function whose reserved concurrency is 0 is throttled (Lambda Developer Guide, "Configuring reserved concurrency for a
function"): the state machine tries its step again, and its events wait in the queue of asynchronous invocations.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runctl.model.attempt import FactKind, Wait
from runctl.model.names import Function
from tests.local.runs.cloud import Cloud
from tests.local.runs.deliver import Delivery


@contextmanager
def held(delivery: Delivery, cloud: Cloud, function: Function) -> Iterator[None]:
    """Let no invocation of the function begin."""
    name = delivery.function(function)
    functions = cloud.client("lambda")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        functions.delete_function_concurrency(FunctionName=name)


def wait_for_fact(delivery: Delivery, cloud: Cloud, run_id: str, kind: FactKind) -> None:
    """Wait until the first attempt's item holds the fact."""
    cloud.wait_until(lambda: kind.value in _map(delivery, run_id, "facts"), f"fact {kind} of {run_id}")


def wait_for_token(delivery: Delivery, cloud: Cloud, run_id: str, wait: Wait) -> None:
    """Wait until the first attempt's item holds the waiting state's token."""
    cloud.wait_until(lambda: has_token(delivery, run_id, wait), f"token {wait} of {run_id}")


def has_token(delivery: Delivery, run_id: str, wait: Wait) -> bool:
    """Whether the waiting state's step has stored its token on the first attempt."""
    return wait.value in _map(delivery, run_id, "tokens")


def _map(delivery: Delivery, run_id: str, name: str) -> dict[str, Any]:
    return delivery.attempt_item(run_id, 1).get(name, {}).get("M", {})
