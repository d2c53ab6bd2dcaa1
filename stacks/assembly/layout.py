"""Where things lie: the repository, what is built, and what is kept between builds."""

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
ASSEMBLY: Final = REPOSITORY / "runctl" / "_assembly"
LAMBDA_REQUIREMENTS: Final = REPOSITORY / "requirements" / "lambda.txt"
AGENT_REQUIREMENTS: Final = REPOSITORY / "requirements" / "agent.txt"
BOOTSTRAP: Final = REPOSITORY / "runctl" / "agent" / "bootstrap.py"
KEPT: Final = REPOSITORY / "build" / "assembly"
"""Installed dependencies, one folder a lock file and target; never part of anything that is delivered."""
