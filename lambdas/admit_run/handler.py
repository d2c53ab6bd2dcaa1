"""The state `Admit run`."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.admit_run import admit_run
from runctl.controller.deployment import Deployment
from runctl.model.decision import StepInput
from runctl.model.names import Function

logger = Logger(service=Function.ADMIT_RUN)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Check that the run may begin, and create its first attempt."""
    state = StepInput.model_validate(event).state
    logger.append_keys(run_id=state.run_id, attempt=state.current_attempt)
    deployed = deployment()
    answer = admit_run(state, runs=deployed.runs, now=deployed.now)
    logger.info("run admitted", extra={"answer": answer})
    return answer
