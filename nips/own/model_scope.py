"""Pure: what a session may ask of language models: the `models` of a grant.

Source: PROTOCOL.md "Grant":

    {"names":["claude-sonnet-4-5"],"requests":200,"tokens":2000000,"money_microusd":2000000}

The numbers bound the whole life of the key. A grant without `models` opens no model at all.
`group_tokens_per_day`, `group_microusd_per_day`, `tokens_per_day`, `microusd_per_day`, each only
where there is such a limit, bound what the group, or all groups together, use on the UTC day of a
call, whichever keys they use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nips.own.fields import integer, known_only, text
from nips.refusal import Malformed

MAX_NAMES = 100
MAX_NAME_CHARS = 200
_BY_DAY = (
    "group_tokens_per_day", "group_microusd_per_day", "tokens_per_day", "microusd_per_day",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelScope:
    """The models by name, and how many requests, tokens (in and out) and millionths of a US
    dollar may be spent on them; `…_per_day`: by the group, or by all, None for no such limit."""

    names: tuple[str, ...]
    requests: int
    tokens: int
    money_microusd: int
    group_tokens_per_day: int | None = None
    group_microusd_per_day: int | None = None
    tokens_per_day: int | None = None
    microusd_per_day: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The object inside the grant."""
        return {
            "names": list(self.names),
            "requests": self.requests,
            "tokens": self.tokens,
            "money_microusd": self.money_microusd,
            **{name: limit for name in _BY_DAY if (limit := getattr(self, name)) is not None},
        }

    @classmethod
    def from_json(cls, value: object) -> ModelScope:
        """Read the object. Raises Malformed with the field that is wrong."""
        if not isinstance(value, Mapping):
            raise Malformed("grant: models must be a JSON object")
        known_only("grant: models", value, cls.__slots__)
        names = value.get("names")
        if not isinstance(names, list) or len(names) > MAX_NAMES:
            raise Malformed(f"grant: models' names must be an array of at most {MAX_NAMES}")
        read = tuple(text("grant: a model's name", name) for name in names)
        if any(not 0 < len(name) <= MAX_NAME_CHARS for name in read):
            raise Malformed(f"grant: a model's name has 1 to {MAX_NAME_CHARS} characters")
        return cls(
            read,
            **{
                name: integer(f"grant: models' {name}", value.get(name))
                for name in ("requests", "tokens", "money_microusd")
            },
            **{
                name: integer(f"grant: models' {name}", limit)
                for name in _BY_DAY
                if (limit := value.get(name)) is not None
            },
        )
