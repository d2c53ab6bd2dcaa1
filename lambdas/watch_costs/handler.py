"""The regular look at what open runs cost."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.conclusion import Concluding
from runctl.controller.deployment import Deployment
from runctl.controller.watch_costs import watch_costs
from runctl.controller.watch_limits import watch_limits
from runctl.model.names import Function

logger = Logger(service=Function.WATCH_COSTS)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Put what all open runs cost as metrics, and stop what has reached a limit."""
    deployed = deployment()
    answer = watch_costs(
        runs=deployed.runs,
        ledger=deployed.ledger,
        machines=deployed.machines,
        prices=deployed.prices,
        metrics=deployed.metrics,
        notifications=deployed.notifications,
        now=deployed.now,
    )
    logger.info("costs watched", extra={"answer": answer})
    concluding = Concluding(
        deployed.runs, deployed.machines, deployed.bucket, deployed.schedules, deployed.notifications, deployed.now
    )
    limits = watch_limits(ports=concluding, prices=deployed.prices, tokens=deployed.tokens, commands=deployed.commands)
    logger.info("limits watched", extra={"answer": limits})
    return answer
