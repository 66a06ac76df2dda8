"""The installation of the tests here."""

from __future__ import annotations

import pytest

from tests.unit.signer.house import House


@pytest.fixture(scope="session")
def house() -> House:
    return House()
