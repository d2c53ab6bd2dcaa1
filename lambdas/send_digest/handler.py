"""The daily and the weekly report of what was spent."""

from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

from runctl.controller.deployment import Deployment
from runctl.controller.send_digest import send_digest
from runctl.model.names import Function

logger = Logger(service=Function.SEND_DIGEST)
deployment = cache(Deployment.from_environment)


class Asked(BaseModel):
    """What the schedule asks for."""

    days: Annotated[int, Field(ge=1, le=92)]


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Report the last days."""
    asked = Asked.model_validate(event)
    deployed = deployment()
    answer = send_digest(
        asked.days,
        ledger=deployed.ledger,
        pages=deployed.pages,
        notifications=deployed.notifications,
        now=deployed.now,
    )
    logger.info("digest sent", extra={"answer": answer})
    return answer
