"""How thoroughly the laws are tried: HYPOTHESIS_PROFILE=campaign for a long search, the default for every day."""

import os

from hypothesis import HealthCheck, settings

# Other programs share the machine, so nothing here is judged by how long it takes.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile("default", deadline=None, suppress_health_check=_SLOW)
settings.register_profile("campaign", deadline=None, suppress_health_check=_SLOW, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
