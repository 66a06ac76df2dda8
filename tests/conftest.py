"""What every test may use; the engine and the image come from tests/image_fixtures.py."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests import figures

pytest_plugins = ["tests.image_fixtures"]

# How fast an example runs says how busy the machine is, and nothing of the code.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_configure() -> None:
    """Have the workers of a run on several cores, which start after this, roll the same dice."""
    os.environ[figures.SEED] = str(figures.seed)


def pytest_report_header() -> str:
    """The dice of this run, to repeat it."""
    return f"dice: {figures.SEED}={figures.seed}"
