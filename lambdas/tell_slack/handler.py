"""What the topic tells, for channels of Slack."""

import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from runctl.controller.deployment import Deployment
from runctl.controller.tell_slack import Slack, tell_slack
from runctl.model.names import Function
from runctl.model.slack import messages_of

logger = Logger(service=Function.TELL_SLACK)
deployment = cache(Deployment.from_environment)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Post a message of the topic to all webhooks, or one that was handed on to its own."""
    deployed = deployment()
    slack = Slack(deployed.slack_webhooks, deployed.slack_posts, deployed.slack_later, time.sleep, deployed.now)
    answer = tell_slack(messages_of(event), slack)
    logger.info("slack told", extra={"answer": answer})
    return answer
