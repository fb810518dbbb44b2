"""Keeps the packaging tests, which are slow and download packages, out of ordinary runs."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the packaging tests, and say so, unless ``-m`` names their marker."""
    if "packaging" in config.option.markexpr:
        return
    skip = pytest.mark.skip(reason="packaging: run by `tox -e package`")
    for item in items:
        if item.get_closest_marker("packaging"):
            item.add_marker(skip)
