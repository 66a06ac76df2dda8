"""Pure: what the ceiling lets all sessions together spend on language models.

Source: the table `[models]` of `DATA/signer/ceiling.toml`. Whatever grants say, no more is spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nips.own.fields import integer, known_only
from nips.refusal import Malformed

MAX_USD = 1_000_000
_COUNTS = (
    "requests_per_day",
    "tokens_per_day",
    "group_requests_per_day",
    "group_tokens_per_day",
)
_DOLLARS = ("usd_per_day", "group_usd_per_day")


@dataclass(frozen=True, slots=True)
class ModelCaps:
    """By the UTC day; money in millionths of a US dollar. `group_…`: of one conversation."""

    requests_per_day: int = 5_000
    tokens_per_day: int = 50_000_000
    microusd_per_day: int = 25_000_000
    group_requests_per_day: int = 2_000
    group_tokens_per_day: int = 20_000_000
    group_microusd_per_day: int = 10_000_000


def parse(table: Mapping[str, object]) -> ModelCaps:
    """Read the decoded table. Raises Malformed naming the entry that is wrong."""
    known_only("ceiling: models", table, {*_COUNTS, *_DOLLARS})
    given = {
        name: integer(f"ceiling: models: {name}", table[name]) for name in _COUNTS if name in table
    }
    for name in _DOLLARS:
        if name in table:
            given[name.replace("usd", "microusd")] = _microusd(name, table[name])
    return ModelCaps(**given)


def render(caps: ModelCaps) -> list[str]:
    """The table's lines, each with what it means."""
    return [
        "[models]  # what language models may be used for, by the UTC day",
        f"requests_per_day = {caps.requests_per_day}  # over all conversations",
        f"tokens_per_day = {caps.tokens_per_day}  # read and made",
        f"usd_per_day = {caps.microusd_per_day / 1_000_000!r}  # at the prices in models.toml",
        f"group_requests_per_day = {caps.group_requests_per_day}  # in one conversation",
        f"group_tokens_per_day = {caps.group_tokens_per_day}  # the same",
        f"group_usd_per_day = {caps.group_microusd_per_day / 1_000_000!r}  # the same",
    ]


def _microusd(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_USD:
        raise Malformed(f"ceiling: models: {name} must be a number of dollars up to {MAX_USD:,}")
    return round(value * 1_000_000)
