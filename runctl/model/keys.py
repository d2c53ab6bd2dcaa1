"""Where things lie in the bucket, and how items are named in the runs table.

The machine role may read `handoff/${aws:userid}/*` and `code/*`, and write `runs/*/attempts/*/${aws:userid}/*` and
`packages/${aws:userid}/*`; for an instance profile `aws:userid` is `<role id>:<instance id>` (IAM User Guide, policy
variables).
"""

from runctl.model.ids import AttemptNumber, InstanceId, RunId

HANDOFF_PREFIX = "handoff/"
CODE_PREFIX = "code/"
RUNS_PREFIX = "runs/"
PACKAGES_PREFIX = "packages/"

SECRET_PARAMETERS_PREFIX = "/runctl/secrets/"
"""Parameters of Systems Manager that every machine may read, for secrets of trainings."""

SECRETS_PREFIX = "runctl/"
"""Secrets of Secrets Manager that every machine may read."""


def slack_webhooks_path(stack_name: str) -> str:
    """Path of the parameters that hold the addresses of Slack webhooks; no machine may read below it."""
    return f"/{stack_name}/slack-webhooks"


META_SORT_KEY = "META"


def run_partition(run_id: RunId) -> str:
    """Partition key of all items of a run."""
    return f"RUN#{run_id}"


def machine_partition(instance_id: InstanceId) -> str:
    """Partition key of the item that says which run has a kept machine."""
    return f"MACHINE#{instance_id}"


def attempt_sort_key(number: AttemptNumber) -> str:
    """Sort key of an attempt, e.g. `ATTEMPT#0001`."""
    return f"ATTEMPT#{number:04d}"


def event_sort_key(time_iso: str, event_id: str) -> str:
    """Sort key of a timeline event: sorts by time, unique by id."""
    return f"EVENT#{time_iso}#{event_id}"


def spent_partition(day: str) -> str:
    """Partition key of the ledger's lines of a day, e.g. `SPENT#2026-11-24`."""
    return f"SPENT#{day}"


def late_partition(day: str) -> str:
    """Partition key of lines settled on a day, too late for the digest of their own, e.g. `LATE#2026-11-24`."""
    return f"LATE#{day}"


FIGURES_PARTITION = "FIGURES"
MONTHS_PARTITION = "SPENT#MONTHS"


PAGES_PREFIX = "reports/"


def page_key(name: str) -> str:
    """Key of a report for people."""
    return f"{PAGES_PREFIX}{name}.txt"


def told_sort_key(what: str) -> str:
    """Sort key of the note that people were told something of a run, e.g. `TOLD#failed`."""
    return f"TOLD#{what}"


def price_partition(region: str) -> str:
    """Partition key of the on-demand prices that are kept, e.g. `PRICE#us-east-1`."""
    return f"PRICE#{region}"


def code_key(sha256: str) -> str:
    """Key of a project's listing."""
    return f"{CODE_PREFIX}{sha256}.json.gz"


def pack_key(sha256: str) -> str:
    """Key of a pack of a project's files."""
    return f"{CODE_PREFIX}packs/{sha256}"


def userid(role_id: str, instance_id: InstanceId) -> str:
    """The machine's `aws:userid`."""
    return f"{role_id}:{instance_id}"


def handoff_key(role_id: str, instance_id: InstanceId) -> str:
    """Key of the machine's `AgentJob`."""
    return f"{HANDOFF_PREFIX}{userid(role_id, instance_id)}/job.json"


def go_key(role_id: str, instance_id: InstanceId) -> str:
    """Key of the machine's `HandOver`: that it may train."""
    return f"{HANDOFF_PREFIX}{userid(role_id, instance_id)}/go.json"


def limits_key(role_id: str, instance_id: InstanceId) -> str:
    """Key of the machine's `Limits`: that its training may take longer than its job says."""
    return f"{HANDOFF_PREFIX}{userid(role_id, instance_id)}/limits.json"


def replacement_ready_key(role_id: str, instance_id: InstanceId) -> str:
    """Key of the machine's `ReplacementReady`: that another one waits for it."""
    return f"{HANDOFF_PREFIX}{userid(role_id, instance_id)}/replacement_ready.json"


def attempts_prefix(run_id: RunId) -> str:
    """Prefix of everything that a run's machines wrote."""
    return f"{RUNS_PREFIX}{run_id}/attempts/"


def attempt_prefix(run_id: RunId, number: AttemptNumber, role_id: str, instance_id: InstanceId) -> str:
    """Prefix that one machine may write: below it `checkpoints/<name>/manifest.json`, `checkpoints/<name>/files/…`,
    `logs/training-<utc>.log`, `output/…` with its listing `output.json`, the history of the metrics
    `metrics.json` (runctl.model.history), and the final marker `final.json` (the signed
    `Training Ended` detail)."""
    return f"{attempts_prefix(run_id)}{number:04d}/{userid(role_id, instance_id)}/"


def packages_prefix(run_id: RunId, number: AttemptNumber, role_id: str, instance_id: InstanceId) -> str:
    """Prefix below which a machine leaves the packages of an attempt: pieces of an archive, and last `packages.json`
    (runctl.model.packages). Not below `runs/`, which is the user's: these expire."""
    return f"{PACKAGES_PREFIX}{userid(role_id, instance_id)}/{run_id}/{number:04d}/"


def log_stream(run_id: RunId, number: AttemptNumber) -> str:
    """CloudWatch Logs stream of an attempt."""
    return f"{run_id}/{number:04d}"


def metrics_stream(run_id: RunId, number: AttemptNumber) -> str:
    """CloudWatch Logs stream of an attempt's figures, one JSON object an event (runctl.model.history)."""
    return f"{log_stream(run_id, number)}/metrics"
