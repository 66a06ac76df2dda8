"""Three people with fixed keys, and the folder of the published vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from nips.key import SecretKey


@pytest.fixture(scope="session")
def alice() -> SecretKey:
    return SecretKey(b"\x0a" * 32)


@pytest.fixture(scope="session")
def bob() -> SecretKey:
    return SecretKey(b"\x0b" * 32)


@pytest.fixture(scope="session")
def mallory() -> SecretKey:
    return SecretKey(b"\x0d" * 32)


@pytest.fixture(scope="session")
def vectors() -> Path:
    return Path(__file__).parents[2] / "vectors"
