"""How thoroughly the property tests look; ``HYPOTHESIS_PROFILE=thorough`` for very."""

import os

from hypothesis import HealthCheck, Phase, settings

EXAMPLES = 60

COMMON = {
    "deadline": None,
    "phases": set(Phase) - {Phase.explain},
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}

settings.register_profile("default", max_examples=EXAMPLES, **COMMON)
settings.register_profile("thorough", max_examples=50 * EXAMPLES, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
