"""Names that more than one room must spell the same: states, functions, parameters, outputs, events, variables."""

from enum import StrEnum

STACK_NAME = "runctl"
AGENT_EVENT_SOURCE = "runctl.agent"

MACHINE_PROFILE = "runctl-ssm-profile"
"""The machines' instance profile: users look for it, and policies name it. Another Region's stack adds its Region."""


class State(StrEnum):
    """State names as the console shows them."""

    ADMIT_RUN = "Admit run"
    MACHINE_GIVEN = "Machine given?"
    LAUNCH_MACHINE = "Launch machine"
    WAIT_FOR_SSM = "Wait for SSM"
    TRAIN = "Train"
    DECIDE_WHAT_NEXT = "Decide what next"
    TRY_AGAIN = "Try again?"
    WAIT_FOR_CAPACITY = "Wait for capacity"
    CONCLUDE_RUN = "Conclude run"
    HOW_DID_IT_END = "How did it end?"
    RUN_SUCCEEDED = "Run succeeded"
    RUN_FAILED = "Run failed"
    RUN_CANCELLED = "Run cancelled"
    RUN_STOPPED = "Run stopped"
    ALREADY_ENDED = "Run has already ended"
    """Where a redrive of an ended run stops: `Admit run` refuses it."""


class Function(StrEnum):
    """Function folders under lambdas/; the CDK id and the log's `service` share the stem."""

    ADMIT_RUN = "admit_run"
    LAUNCH_MACHINE = "launch_machine"
    AWAIT_READY = "await_ready"
    START_TRAINING = "start_training"
    DECIDE_NEXT = "decide_next"
    CONCLUDE_RUN = "conclude_run"
    OBSERVE_MACHINE = "observe_machine"
    OBSERVE_COMMAND = "observe_command"
    OBSERVE_AGENT = "observe_agent"
    OBSERVE_EXECUTION = "observe_execution"
    STOP_RUN = "stop_run"
    WATCH_COSTS = "watch_costs"
    REAP_MACHINES = "reap_machines"
    SEND_DIGEST = "send_digest"
    TELL_SLACK = "tell_slack"


class Variable(StrEnum):
    """Environment variables of the functions."""

    RUNS_TABLE = "RUNCTL_RUNS_TABLE"
    BUDGETS_TABLE = "RUNCTL_BUDGETS_TABLE"
    BUCKET = "RUNCTL_BUCKET"
    BUS_NAME = "RUNCTL_BUS_NAME"
    LAUNCH_TEMPLATE_ID = "RUNCTL_LAUNCH_TEMPLATE_ID"
    SUBNET_IDS = "RUNCTL_SUBNET_IDS"
    MACHINE_ROLE_ID = "RUNCTL_MACHINE_ROLE_ID"
    INSTANCE_PROFILES = "RUNCTL_INSTANCE_PROFILES"
    MACHINE_LOG_GROUP = "RUNCTL_MACHINE_LOG_GROUP"
    TOPIC_ARN = "RUNCTL_TOPIC_ARN"
    STATE_MACHINE_ARN = "RUNCTL_STATE_MACHINE_ARN"
    STOP_RUN_FUNCTION_ARN = "RUNCTL_STOP_RUN_FUNCTION_ARN"
    SCHEDULE_GROUP = "RUNCTL_SCHEDULE_GROUP"
    SCHEDULE_ROLE_ARN = "RUNCTL_SCHEDULE_ROLE_ARN"
    DEAD_LETTER_ARN = "RUNCTL_DEAD_LETTER_ARN"
    """Queue for what the one-time schedules could not deliver."""
    STACK_NAME = "RUNCTL_STACK_NAME"
    METRIC_NAMESPACE = "POWERTOOLS_METRICS_NAMESPACE"


class Parameter(StrEnum):
    """Parameters of the template: all that may differ between deployments."""

    ASSET_BUCKET = "AssetBucket"
    VPC_ID = "VpcId"
    SUBNET_IDS = "SubnetIds"
    DELETION_PROTECTION = "DeletionProtection"
    COST_WATCH_RATE = "CostWatchRate"
    REAPER_RATE = "ReaperRate"
    DAILY_DIGEST = "DailyDigest"
    WEEKLY_DIGEST = "WeeklyDigest"
    DASHBOARD = "Dashboard"
    NOTIFY_EMAIL = "NotifyEmail"
    AWS_BUDGET_USD = "AwsBudgetUsd"
    """Amount of a monthly budget of AWS's own over all that bears the stack's tag; 0: none."""
    DATA_BUCKETS = "DataBuckets"
    """ARNs of buckets that machines may read, separated by commas."""
    MACHINE_POLICIES = "MachinePolicies"
    """ARNs of managed policies that machines have beside their own, separated by commas."""
    PASSED_ROLES = "PassedRoles"
    """ARNs of the roles in instance profiles that machines may be launched with beside ours, separated by commas."""
    PASSED_ROLE_NAMES = "PassedRoleNames"
    """Names of the same roles: they get what the agent needs."""
    INSTANCE_PROFILES = "InstanceProfiles"
    """The same instance profiles, each with its role's unique id: `name:AROA…`, separated by commas."""
    PROFILE_NAME = "ProfileName"
    """Name of the stack's own instance profile. IAM has one name space for all Regions."""


class Output(StrEnum):
    """Outputs of the stack: how the CLI finds what was deployed."""

    RUNS_TABLE = "RunsTable"
    BUDGETS_TABLE = "BudgetsTable"
    BUCKET = "Bucket"
    BUS_NAME = "BusName"
    STATE_MACHINE_ARN = "StateMachineArn"
    STOP_RUN_FUNCTION = "StopRunFunction"
    MACHINE_LOG_GROUP = "MachineLogGroup"
    TOPIC_ARN = "TopicArn"
    DEAD_LETTER_URL = "DeadLetterUrl"
    INSTANCE_PROFILES = "InstanceProfiles"
    """What a run may name as its instance profile: `name:role id`, the stack's own first."""
    VERSION = "Version"


class Index(StrEnum):
    """Global secondary indexes of the runs table."""

    BY_INSTANCE = "by_instance"
    OPEN_RUNS = "open_runs"
    BY_PROJECT = "by_project"


class Tag(StrEnum):
    """EC2 tags of a machine; set in the launching call itself."""

    RUN = "runctl:run"
    ATTEMPT = "runctl:attempt"
    PROJECT = "runctl:project"
    USER = "runctl:user"
    STACK = "runctl:stack"
    """Name of the deployment that launched it: its reaper leaves the machines of another one alone."""
    PROTECTED = "runctl:protected"
    """Put on a machine by a person, with any value: the reaper leaves it alone."""
    ROLE = "runctl:role"
    """Unique id of the machine's role, where it is not the stack's own: the first half of its `aws:userid`."""


class Metric(StrEnum):
    """Our custom metrics: few, for each is paid for, and none with a dimension per run, user or project.

    A metric is paid for by the hours in which a value is put (Amazon CloudWatch pricing): MONTH_USD is put at each
    look, the others while they are not zero.
    """

    UNVERIFIED_EVENTS = "UnverifiedEvents"
    """Events on our bus that no machine of ours can have sent."""
    RUNS_OVER_COST = "RunsOverCost"
    """Open runs that have cost more than their `max_cost`."""
    USD_PER_HOUR = "UsdPerHour"
    """What all machines of open runs cost an hour, as far as their prices are known."""
    MONTH_USD = "MonthUsd"
    """What machines cost in this month so far, those of ended runs too. That it is put shows that costs are watched."""
    FORECAST_USD = "ForecastUsd"
    """What open runs may yet cost until their limits, at the prices of now."""
    IDLE_MACHINES = "IdleMachines"
    """Living machines with our tag that belong to no open run, young ones too."""
    STRAY_MACHINES = "StrayMachines"
    """Machines that no run owned and that the reaper ended."""
    STRANDED_RUNS = "StrandedRuns"
    """Open runs that the reaper had to set right: it concluded them, or answered what they waited for."""

    @property
    def is_money(self) -> bool:
        """Whether it is USD, which CloudWatch knows no unit for, and not a count."""
        return self in (Metric.USD_PER_HOUR, Metric.MONTH_USD, Metric.FORECAST_USD)
