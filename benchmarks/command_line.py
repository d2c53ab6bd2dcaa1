"""Measure the command line: `python -m benchmarks.command_line [--beside NAME=PROGRAM]...`, or `make bench-cli`.

Medians of ten calls, one after another, each a process of its own: help beside an empty Python, `ps` with a thousand
runs in the table beside importing boto3 and making one client, and how soon `logs -f` shows what a training printed.
On the local target, in a folder of its own. Beside them the help of other programs: those that `make rivals` has put
below build/rivals, and `--beside sky=/path/to/sky`. Worth comparing on a quiet machine only; the ratios are steadier
than the times.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from runctl.client.connect import connect
from runctl.local.cloud import LocalCloud
from runctl.model.ids import new_run_id
from tests.client.deployment import a_run

CALLS: Final = 10
RUNS: Final = 1_000
HELP_LIMIT_S: Final = 0.15
HELP_LIMIT: Final = 8.0
"""Times an empty Python."""
PS_LIMIT: Final = 2.5
"""Times importing boto3 and making one client."""
LINE_LIMIT_S: Final = 2.0
LINES: Final = 20

RIVALS: Final = Path(__file__).parents[1] / "build" / "rivals"
"""What `make rivals` installs: `NAME/bin/NAME`."""

_RUNCTL: Final = str(Path(sys.executable).parent / "runctl")
_BOTO3: Final = "import boto3; boto3.client('dynamodb', region_name='us-east-1')"
_TRAINING: Final = f"""\
import time
for _ in range({LINES}):
    print(f"printed at {{time.time()}}", flush=True)
    time.sleep(0.5)
"""


def seconds(words: Sequence[str], folder: Path, **variables: str) -> float:
    """Median time of a command that succeeds. All are compiled before, as pip compiles what it installs."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), **variables}
    times: list[float] = []
    for _ in range(CALLS + 1):
        began_at = time.perf_counter()
        subprocess.run(
            words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )
        times.append(time.perf_counter() - began_at)
    return median(times[1:])


def put_runs(environment: dict[str, str], project: str) -> None:
    """Write a thousand runs of this project and user, a minute apart."""
    runs = connect(environment=environment).runs
    now = datetime.now(UTC)
    for number in range(RUNS):
        at = now - timedelta(minutes=number)
        runs.create_run(
            a_run(new_run_id(at), project=project, created_at=at, updated_at=at, user=os.environ.get("USER", "root"))
        )


def delays(folder: Path) -> list[float]:
    """How long after the training printed a line `logs -f` shows it."""
    (folder / "train.py").write_text(_TRAINING)
    asked = [_RUNCTL, "train", "train.py", "--instance-type", "t3.micro", "--yes"]
    run_id = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    found: list[float] = []
    with subprocess.Popen(
        [_RUNCTL, "logs", run_id, "-f"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("printed at "):
                found.append(time.time() - float(line.split()[-1]))
    return found


def told(what: str, value: float, limit: float, unit: str) -> bool:
    """Print one figure beside its limit; says whether it is within."""
    is_within = value <= limit
    print(f"{what:<44} {value:7.3f} {unit:<2} (limit {limit:g}){'' if is_within else '  TOO MUCH'}")
    return is_within


def main() -> int:
    """Measure everything; 1 when something is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beside", action="append", default=[], metavar="NAME=PROGRAM", help="time its --help, too")
    beside = {folder.name: str(folder / "bin" / folder.name) for folder in sorted(RIVALS.glob("*"))}
    beside |= dict(each.split("=", 1) for each in parser.parse_args().beside)
    within: list[bool] = []
    with tempfile.TemporaryDirectory(prefix="runctl-bench-") as name:
        folder = Path(name) / "bench"
        folder.mkdir()
        (folder / ".runctl.toml").write_text('target = "local"\n')
        empty = seconds([sys.executable, "-c", "pass"], folder)
        print(f"{'python -c pass':<44} {empty:7.3f} s")
        helps = {" ".join(words): seconds([_RUNCTL, *words], folder) for words in (["--help"], ["status", "--help"])}
        for words, spent in helps.items():
            within += [
                told(f"runctl {words}", spent, HELP_LIMIT_S, "s"),
                told(f"runctl {words} / python -c pass", spent / empty, HELP_LIMIT, ""),
            ]
        for program, path in beside.items():
            spent = seconds([path, "--help"], folder)
            print(f"{program + ' --help':<44} {spent:7.3f} s")
            within.append(told(f"runctl --help / {program} --help", helps["--help"] / spent, 1.0, ""))
        client = seconds([sys.executable, "-c", _BOTO3], folder)
        print(f"{'import boto3, make one client':<44} {client:7.3f} s")
        local = LocalCloud(folder / ".runctl" / "local")
        local.up(say=lambda _: None)
        try:
            put_runs(local.environment(), folder.name)
            spent = seconds([_RUNCTL, "ps"], folder)
            print(f"{f'runctl ps, {RUNS} runs in the table':<44} {spent:7.3f} s")
            within.append(told("runctl ps / import boto3, make one client", spent / client, PS_LIMIT, ""))
            asked = {"_RUNCTL_COMPLETE": "bash_complete", "COMP_WORDS": "runctl status r-", "COMP_CWORD": "2"}
            spent = seconds([_RUNCTL], folder, **asked)
            within.append(told("completing the id of one of many", spent, HELP_LIMIT_S, "s"))
            found = delays(folder)
            print(f"{f'logs -f, median of {len(found)} lines':<44} {median(found):7.3f} s")
            within.append(told("logs -f, slowest line", max(found), LINE_LIMIT_S, "s") and len(found) == LINES)
        finally:
            local.down(say=lambda _: None)
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
