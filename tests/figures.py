"""Shell: how much of something a test does, and which dice it rolls.

    NOSTRCLAW_ORDEAL=frames=1000000    the figure of one promise; without it each has its short one
    NOSTRCLAW_SEED=20261122            the dice of an earlier run; without it they are new

`make ordeal` sets both. Promises and figures: bench/promises.py.
"""

from __future__ import annotations

import os
import random
import secrets

from bench.promises import promise_of

ORDEAL = "NOSTRCLAW_ORDEAL"
SEED = "NOSTRCLAW_SEED"
seed = int(os.environ.get(SEED) or secrets.randbits(32))


def figure(name: str) -> int:
    """How many of a promise's units this run does."""
    asked, _, number = os.environ.get(ORDEAL, "").partition("=")
    return int(number) if asked == name else promise_of(name).short


def dice(*parts: object) -> random.Random:
    """Dice for one test, the same again for the same seed and `parts`; says the seed."""
    print(f"{SEED}={seed}")
    return random.Random("/".join(map(str, (seed, *parts))))
