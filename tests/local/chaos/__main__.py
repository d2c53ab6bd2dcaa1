"""Two hundred runs on the local target, twenty at a time, faults in two of three: `make chaos-local` (RUNS=…)."""

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

from tests.local.chaos.chaos import LocalChaos

FOLDER = Path(__file__).parents[3] / ".runctl" / "chaos"


def main() -> int:
    """Run; 1 when something was left, lost or told wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tests.local.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="how many (200)")
    parser.add_argument("--at-a-time", type=int, default=20, help="how many at a time (20)")
    parser.add_argument("--seed", type=int, default=1, help="which faults strike which run (1)")
    asked = parser.parse_args()
    outcome = LocalChaos(FOLDER / "project").run(asked.runs, asked.at_a_time, asked.seed)
    figures = {**asdict(replace(outcome, ended=Counter(), faults=Counter())), "ended": dict(outcome.ended)}
    figures["faults"] = dict(outcome.faults)
    for name, value in figures.items():
        shown = value if not isinstance(value, list) else (value or "none")
        print(f"{name.replace('_', ' '):<16} {shown}")
    (FOLDER / "local.json").write_text(json.dumps(figures, indent=2) + "\n")
    print("clean" if outcome.is_clean else "NOT clean")
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
