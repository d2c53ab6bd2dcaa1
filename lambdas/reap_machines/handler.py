"""The regular look for what nobody owns."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.reap_machines import reap_machines
from runctl.model.names import Function
from runctl.model.sweep import SweepRequest

logger = Logger(service=Function.REAP_MACHINES)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """End machines without a run, and set right runs that nothing else will set right."""
    deployed = deployment()
    answer = reap_machines(
        SweepRequest.model_validate(event),
        runs=deployed.runs,
        machines=deployed.machines,
        commands=deployed.commands,
        executions=deployed.executions,
        tokens=deployed.tokens,
        bucket=deployed.bucket,
        schedules=deployed.schedules,
        notifications=deployed.notifications,
        metrics=deployed.metrics,
        settings=deployed.settings,
        now=deployed.now,
    )
    logger.info("machines looked through", extra={"answer": answer})
    return answer
