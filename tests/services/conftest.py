"""What the tests of faults share: a database of each kind."""

from ..support.databases import database_url, pytest_runtest_setup

__all__ = ["database_url", "pytest_runtest_setup"]
