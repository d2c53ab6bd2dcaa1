"""The command line in a project of its own."""

from tests.cli.conftest import project, runctl

__all__ = ["project", "runctl"]
