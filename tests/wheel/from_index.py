"""Try the wheel as a user would, from the package index: `make test-wheel`.

Prints what it measured beside what it must reach, and ends with 1 when something is over its limit or fails.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.wheel.clean_environment import CleanEnvironment

LARGEST_WHEEL_MB: Final = 20.0
LARGEST_THIN_MB: Final = 60.0
SCRIPT: Final = 'print("trained", flush=True)\n'


def main() -> int:
    """Install thin and whole, and train."""
    wheel = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="runctl-wheel-") as folder:
        thin, whole = CleanEnvironment(Path(folder) / "thin"), CleanEnvironment(Path(folder) / "whole")
        thin.install_from_index(wheel)
        whole.install_from_index(wheel, extra="local")
        wheel_mb, thin_mb = wheel.stat().st_size / 1e6, thin.installed_bytes() / 1e6
        print(f"wheel                    {wheel_mb:6.1f} MB (at most {LARGEST_WHEEL_MB:.0f})")
        print(f"command line alone       {thin_mb:6.1f} MB (at most {LARGEST_THIN_MB:.0f})")
        print(f"with the local target    {whole.installed_bytes() / 1e6:6.1f} MB")
        project = Path(folder) / "project"
        project.mkdir()
        (project / "train.py").write_text(SCRIPT)
        try:
            for command in (("init",), ("local", "up"), ("train", "train.py", "--wait")):
                began = time.monotonic()
                done = whole.run(project, whole.program, *command, timeout_s=300.0)
                print(f"runctl {' '.join(command):<24} {time.monotonic() - began:6.1f} s")
                if done.returncode != 0:
                    print(done.stdout + done.stderr, file=sys.stderr)
                    return 1
        except subprocess.TimeoutExpired as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            whole.run(project, whole.program, "local", "down")
    return 0 if wheel_mb <= LARGEST_WHEEL_MB and thin_mb <= LARGEST_THIN_MB else 1


if __name__ == "__main__":
    sys.exit(main())
