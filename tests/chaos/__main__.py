"""Let thousands of stories happen: `make chaos` (RUNS=, FIRST=), or tell one again: `make chaos SEED=…`."""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runctl.model.status import Reason
from tests.chaos.functions import quiet_for_good
from tests.chaos.story import Result, tell

REPORT = Path(__file__).parents[2] / ".runctl" / "chaos" / "chaos.json"
CHUNK = 20
SHOWN = 5


@dataclass
class Total:
    """What became of many stories."""

    stories: int = 0
    runs: int = 0
    machines: int = 0
    invocations: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    broken: list[Result] = field(default_factory=list[Result])

    def add(self, result: Result) -> None:
        """Count a story."""
        self.stories += 1
        self.runs += result.runs
        self.machines += result.machines
        self.invocations += result.invocations
        self.reasons.update(Reason(reason).value if reason is not None else "open" for reason in result.reasons)
        self.faults.update(word.split()[0] for word in result.faults.split(", "))
        if result.violation:
            self.broken.append(result)


def stories(first: int, runs: int, jobs: int) -> Iterator[Result]:
    """Let stories happen, seed after seed, until there were so many runs. Which ones does not depend on `jobs`."""
    seen = 0
    with multiprocessing.get_context("spawn").Pool(jobs, quiet_for_good) as pool:
        for result in pool.imap(tell, range(first, first + runs), chunksize=CHUNK):
            yield result
            seen += result.runs
            if seen >= runs:
                pool.terminate()
                return


def main(arguments: list[str] | None = None) -> int:
    """Run; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help="how many runs (10000)")
    parser.add_argument("--first", type=int, default=1, help="the first story's seed (1)")
    parser.add_argument("--seed", type=int, help="tell this story only, with everything that happens in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a processor)")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        return _tell_one(asked.seed)
    began = time.monotonic()
    total = Total()
    for result in stories(asked.first, asked.runs, asked.jobs):
        total.add(result)
        if result.violation and len(total.broken) <= SHOWN:
            print(f"seed {result.seed} ({result.faults}): {result.violation}", flush=True)
    took_s = time.monotonic() - began
    figures = _figures(total, took_s, asked.jobs)
    for name, figure in figures.items():
        print(f"{name.replace('_', ' '):<14} {figure}")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(figures, indent=2) + "\n")
    if total.broken:
        print(f"{len(total.broken)} broken promises; tell one again with: make chaos SEED={total.broken[0].seed}")
    return 1 if total.broken else 0


def _tell_one(seed: int) -> int:
    quiet_for_good()
    result = tell(seed, readable=True)
    print(result.tale)
    print(f"\nseed {seed}: {result.violation or 'every promise was kept'}")
    return 1 if result.violation else 0


def _figures(total: Total, took_s: float, jobs: int) -> dict[str, Any]:
    return {
        "runs": total.runs,
        "stories": total.stories,
        "machines": total.machines,
        "invocations": total.invocations,
        "seconds": round(took_s, 1),
        "processes": jobs,
        "reasons": dict(total.reasons.most_common()),
        "faults": dict(total.faults.most_common()),
        "violations": len(total.broken),
        "seeds": [result.seed for result in total.broken[:50]],
    }


if __name__ == "__main__":
    sys.exit(main())
