"""Pure: the names of an agent's backends, as settings, bindings and runs have them.

`builtin`, `claude`, `claude:MODEL`, `openai`, `openai:MODEL`. A list is in order of preference.
Source: PROTOCOL.md "Binding", "Backends of a run".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from nips.own.model_scope import MAX_NAME_CHARS
from nips.refusal import Malformed

Kind = Literal["builtin", "claude", "openai"]
MAX_BACKENDS = 8


@dataclass(frozen=True, slots=True)
class BackendName:
    """kind: which program. model: the model's name; None: one that is configured, and of `builtin`
    always."""

    kind: Kind
    model: str | None = None

    def __str__(self) -> str:
        return self.kind if self.model is None else f"{self.kind}:{self.model}"


BUILTIN: Final = BackendName("builtin")


def parse(value: object) -> BackendName:
    """Read one. Raises Malformed."""
    kind, separator, model = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in get_args(Kind) or (separator and kind == "builtin"):
        raise Malformed("a backend must be builtin, claude, claude:MODEL, openai or openai:MODEL")
    if separator and not (1 <= len(model) <= MAX_NAME_CHARS and model.isprintable()):
        raise Malformed(f"a backend's model must be 1 to {MAX_NAME_CHARS} characters")
    return BackendName(kind, model or None)  # type: ignore[arg-type]  # it is one of them


def parse_all(value: object) -> tuple[BackendName, ...]:
    """Read a list of them, each named once. Raises Malformed."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_BACKENDS:
        raise Malformed(f"backends must be an array of at most {MAX_BACKENDS}")
    found = tuple(parse(one) for one in value)
    if len(set(found)) != len(found):
        raise Malformed("backends name one twice")
    return found
