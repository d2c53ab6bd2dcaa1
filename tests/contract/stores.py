"""Both tables of a deployment, of whatever implementation."""

from dataclasses import dataclass

from runctl.controller.ports import BudgetStore, RunStore


@dataclass(frozen=True)
class Stores:
    """What a contract suite writes to and reads from."""

    runs: RunStore
    budgets: BudgetStore
