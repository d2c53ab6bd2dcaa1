"""Interrupt and resume `training/train_torch.py` and compare its weights: `make test-torch`.

PyTorch is installed from the package index into `.runctl/torch`, as `requirements/torch.txt` says; it is large, and no
other test needs it. Prints what it compared, and ends with 1 when the weights differ in a bit.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.training.script import Ending, Script

REPOSITORY: Final = Path(__file__).parents[2]
ENVIRONMENT: Final = REPOSITORY / ".runctl" / "torch"
LOCK: Final = REPOSITORY / "requirements" / "torch.txt"
ARGUMENTS: Final = ("--epochs", "3", "--images", "640", "--save-every", "10", "--pause-s", "0.02")
INTERRUPTIONS: Final = 3


def install() -> str:
    """Install what is missing; answer the Python that has PyTorch."""
    uv = str(Path(sys.executable).with_name("uv"))
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(ENVIRONMENT)], check=True)
    subprocess.run([uv, "pip", "sync", "-q", "--python", str(python), "--require-hashes", str(LOCK)], check=True)
    return str(python)


def main() -> int:
    """Train once whole, once in pieces."""
    began = time.monotonic()
    python = install()
    print(f"installed in {time.monotonic() - began:.1f} s")
    with tempfile.TemporaryDirectory(prefix="runctl-torch-") as name:
        whole = Script("train_torch.py", Path(name, "whole"), *ARGUMENTS, python=python)
        uninterrupted = whole.run()
        endings: list[Ending] = []
        resume_from: Path | None = None
        for number in range(INTERRUPTIONS):
            piece = Script("train_torch.py", Path(name, str(number)), *ARGUMENTS, python=python)
            endings.append(piece.run_and_interrupt(resume_from=resume_from, after_checkpoints=1))
            resume_from = piece.whole_checkpoints()[-1]
        last = Script("train_torch.py", Path(name, "last"), *ARGUMENTS, python=python)
        endings.append(last.run(resume_from=resume_from))
        weights = [(script.outputs / "weights.pt").read_bytes() for script in (whole, last) if script.outputs.exists()]
    codes = [ending.exit_code for ending in endings]
    expected = [75] * INTERRUPTIONS + [0]
    lines = [ending.stdout.splitlines()[-1:] for ending in (uninterrupted, endings[-1])]
    print(f"uninterrupted: {uninterrupted.exit_code} {lines[0]}\ninterrupted:   {codes} {lines[1]}")
    if uninterrupted.exit_code or codes != expected:
        print(uninterrupted.stderr, *(ending.stderr for ending in endings), file=sys.stderr)
        return 1
    same = lines[0] == lines[1] and weights[0] == weights[1]
    print("the weights are the same, bit for bit" if same else "THE WEIGHTS DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
