"""Rounds of kills, a few in each installation."""

from __future__ import annotations

import pytest

from tests.figures import figure

# The supervisor waits longer each time before it starts again what keeps ending.
ROUNDS_EACH = 5


def rounds(name: str, installation: str = "mortal") -> pytest.MarkDecorator:
    """A promise's rounds as `round_`, each with the number of its installation, a fixture."""
    numbers = [(n // ROUNDS_EACH, n) for n in range(figure(name))]
    # By this scope, rounds of one installation run one after the other.
    return pytest.mark.parametrize(
        (installation, "round_"), numbers, indirect=[installation], scope="module"
    )
