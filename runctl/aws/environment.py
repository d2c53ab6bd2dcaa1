"""The environment of the functions, typed. A variable that is missing is named when it is asked for."""

import os
from collections.abc import Mapping

from runctl.errors import ConfigurationError
from runctl.model.names import Variable


class FunctionEnvironment:
    """What the stack tells its functions. Nothing is read before it is needed, for no function needs everything."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    @property
    def region(self) -> str:
        """The Region; Lambda sets it."""
        return self._named("AWS_REGION")

    @property
    def function_name(self) -> str:
        """The function's own name; Lambda sets it."""
        return self._named("AWS_LAMBDA_FUNCTION_NAME")

    @property
    def runs_table(self) -> str:
        """Name of the runs table."""
        return self._named(Variable.RUNS_TABLE)

    @property
    def budgets_table(self) -> str:
        """Name of the budgets table."""
        return self._named(Variable.BUDGETS_TABLE)

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._named(Variable.BUCKET)

    @property
    def bus_name(self) -> str:
        """Name of the event bus."""
        return self._named(Variable.BUS_NAME)

    @property
    def launch_template_id(self) -> str:
        """Id of the machines' launch template."""
        return self._named(Variable.LAUNCH_TEMPLATE_ID)

    @property
    def subnet_ids(self) -> tuple[str, ...]:
        """Subnets that machines are launched in; commas stand between them."""
        return tuple(part.strip() for part in self._named(Variable.SUBNET_IDS).split(",") if part.strip())

    @property
    def stack_name(self) -> str:
        """Name of the stack."""
        return self._named(Variable.STACK_NAME)

    @property
    def machine_role_id(self) -> str:
        """Unique id of the machines' role, the first half of their `aws:userid`."""
        return self._named(Variable.MACHINE_ROLE_ID)

    @property
    def instance_profiles(self) -> str:
        """Instance profiles that machines may be launched with: `name:role id`, the stack's own first."""
        return self._named(Variable.INSTANCE_PROFILES)

    @property
    def machine_log_group(self) -> str:
        """Log group of the trainings."""
        return self._named(Variable.MACHINE_LOG_GROUP)

    @property
    def topic_arn(self) -> str:
        """Topic of the notifications."""
        return self._named(Variable.TOPIC_ARN)

    @property
    def state_machine_arn(self) -> str:
        """The state machine."""
        return self._named(Variable.STATE_MACHINE_ARN)

    @property
    def stop_run_function_arn(self) -> str:
        """The function that the one-time schedules call."""
        return self._named(Variable.STOP_RUN_FUNCTION_ARN)

    @property
    def schedule_group(self) -> str:
        """Group of the one-time schedules."""
        return self._named(Variable.SCHEDULE_GROUP)

    @property
    def schedule_role_arn(self) -> str:
        """Role with which the one-time schedules call."""
        return self._named(Variable.SCHEDULE_ROLE_ARN)

    @property
    def dead_letter_arn(self) -> str:
        """Queue for what the one-time schedules could not deliver."""
        return self._named(Variable.DEAD_LETTER_ARN)

    @property
    def metric_namespace(self) -> str:
        """Namespace of our metrics."""
        return self._named(Variable.METRIC_NAMESPACE)

    def _named(self, variable: str) -> str:
        value = self._variables.get(variable, "")
        if not value:
            raise ConfigurationError(
                f"The environment variable {variable!s} is not set.", hint="Deploy the stack again: it sets it."
            )
        return value
