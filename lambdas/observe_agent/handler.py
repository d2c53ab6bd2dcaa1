"""The agents' events on our bus."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.observe_agent import observe_agent
from runctl.model.names import Function
from runctl.model.service_events import BusEvent

logger = Logger(service=Function.OBSERVE_AGENT)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Turn a verified event into facts, figures and checkpoints."""
    bus_event = BusEvent.model_validate(event)
    # Not verified yet: what the event says of itself only helps to find its log lines.
    logger.append_keys(**{key: bus_event.detail.get(key) for key in ("run_id", "attempt", "instance_id", "kind")})
    deployed = deployment()
    answer = observe_agent(
        bus_event,
        runs=deployed.runs,
        tokens=deployed.tokens,
        machines=deployed.machines,
        commands=deployed.commands,
        bucket=deployed.bucket,
        schedules=deployed.schedules,
        notifications=deployed.notifications,
        metrics=deployed.metrics,
        now=deployed.now,
    )
    logger.info("agent event observed", extra={"answer": answer})
    return answer
