"""Databases for all tests, and how thoroughly the property tests look.

``HYPOTHESIS_PROFILE=thorough`` has them look very thoroughly, and ``HYPOTHESIS_PROFILE=ci`` at the
same examples each time, so that what is red there was made red by a change.
"""

import os

from hypothesis import HealthCheck, Phase, settings

from .support.databases import emptied_url, pytest_runtest_setup, shared_database

__all__ = ["emptied_url", "pytest_runtest_setup", "shared_database"]

EXAMPLES = 60

COMMON = {
    "deadline": None,
    "phases": set(Phase) - {Phase.explain},
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}

settings.register_profile("default", max_examples=EXAMPLES, **COMMON)
settings.register_profile("ci", max_examples=EXAMPLES, derandomize=True, **COMMON)
settings.register_profile("thorough", max_examples=50 * EXAMPLES, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
