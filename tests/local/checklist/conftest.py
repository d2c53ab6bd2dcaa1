"""One local cloud for the checklist."""

from tests.local.runs.conftest import cloud

__all__ = ["cloud"]
