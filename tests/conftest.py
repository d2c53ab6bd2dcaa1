"""The order of the whole suite."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits for real machines: the quick tests then fill the gaps, and no long module is the last."""
    items.sort(key=lambda item: item.get_closest_marker("local_cloud") is None)
