"""What every test may use; the engine and the image come from tests/image_fixtures.py."""

from __future__ import annotations

pytest_plugins = ["tests.image_fixtures"]
