"""How a run ended, in one sentence or two: the evidence, and what a person can do next. Total over all reasons."""

from types import MappingProxyType
from typing import Final

from runctl.model.ids import RunId
from runctl.model.run import CheckpointRef
from runctl.model.status import Reason

_WITHOUT_CHECKPOINT: Final = MappingProxyType(
    {
        Reason.TIMEOUT: "Start it again with a longer --max-runtime.",
        Reason.BUDGET: "Start it again with a higher --max-cost.",
    }
)
"""The same where nothing was saved that could be gone on from."""

NEXT_STEP: Final = MappingProxyType(
    {
        Reason.COMPLETED: "",
        Reason.USER_ERROR: "Read the log: runctl logs {run_id}.",
        Reason.SETUP_FAILED: "See which package or set-up command failed: runctl logs {run_id}.",
        Reason.OUT_OF_MEMORY: "Choose a type with more memory, or smaller batches: runctl logs {run_id}.",
        Reason.CHECKPOINT_MISSING: "Let the script write a last checkpoint into RUNCTL_CHECKPOINT_DIR before it ends.",
        Reason.SPOT_INTERRUPTION: "Try on-demand machines, or other types.",
        Reason.MACHINE_LOST: "See what happened: runctl events {run_id}.",
        Reason.MACHINE_NOT_READY: "Check that the subnets reach SSM and S3 over HTTPS: runctl events {run_id}.",
        Reason.NO_PROGRESS: "Save checkpoints more often than machines are taken back, or use on-demand machines.",
        Reason.CAPACITY: "Allow more instance types or a longer --capacity-timeout.",
        Reason.QUOTA: "Ask for a higher quota in Service Quotas (EC2), or choose another family of types.",
        Reason.PERMISSION: "Let an administrator of the account look at the refused action.",
        Reason.INVALID_SPEC: "Correct what is named and start the run again.",
        Reason.TIMEOUT: "Go on from there: runctl resume {run_id} --max-runtime LONGER.",
        Reason.BUDGET: "Go on from there: runctl resume {run_id} --max-cost USD.",
        Reason.CANCELLED: "",
        Reason.CONTROLLER: "This is a fault of runctl: see runctl events {run_id} and report it.",
    }
)
"""What to do next when a run has ended for this reason."""


def explain_end(run_id: RunId, reason: Reason, evidence: str, checkpoint: CheckpointRef | None = None) -> str:
    """Write how a run ended: what was seen, what is saved, what to do next."""
    saved = ""
    if reason is not Reason.COMPLETED and checkpoint is not None:
        step = f" of step {checkpoint.step}" if checkpoint.step is not None else ""
        saved = f"The checkpoint {checkpoint.name}{step} is kept."
    following = NEXT_STEP[reason] if checkpoint is not None else _WITHOUT_CHECKPOINT.get(reason, NEXT_STEP[reason])
    parts = (evidence.strip(), saved, following.format(run_id=run_id))
    return " ".join(part for part in parts if part)
