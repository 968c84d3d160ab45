"""The same examples in every run, and as much time for each as a busy machine needs."""

import hypothesis

hypothesis.settings.register_profile(
    "tests", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], database=None
)
hypothesis.settings.load_profile("tests")
