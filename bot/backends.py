"""Pure: which backends the agents of a conversation work with, from what was chosen and what there
is.

Chosen are names in order of preference, for a conversation or for all (`nips.own.backend_name`);
nothing chosen is the first model that may be used, by the program that speaks its dialect. What
cannot be used is left out, so that no run begins with it; where nothing is left, the built-in one
answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from nips.own import backend_name
from nips.own.backend_name import BUILTIN, BackendName

Style = Literal["anthropic", "openai"]
SPOKEN_BY: Mapping[Style, backend_name.Kind] = MappingProxyType(
    {"anthropic": "claude", "openai": "openai"}
)


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """A model that some provider has, and which dialect that one speaks."""

    name: str
    style: Style

    def __str__(self) -> str:
        return f"{self.style}:{self.name}"

    @property
    def backend(self) -> BackendName:
        """The backend that works with it."""
        return BackendName(SPOKEN_BY[self.style], self.name)


@dataclass(frozen=True, slots=True)
class Backends:
    """chosen: for every conversation that chooses none itself, empty for automatic. models: the
    configured ones."""

    chosen: tuple[BackendName, ...] = ()
    models: tuple[ConfiguredModel, ...] = ()

    def of(self, own: Iterable[str] | None, usable: Collection[str]) -> tuple[BackendName, ...]:
        """Those of a conversation, each with its model, at least one. own: what it chose itself,
        None for nothing. usable: the names of the models that it may use, the preferred first."""
        there = {model.name: model.backend for model in self.models}
        known = [there[name] for name in usable if name in there]
        wanted = tuple(map(backend_name.parse, own or ())) or self.chosen
        found = (_meant(one, known) for one in wanted) if wanted else known[:1]
        return tuple(dict.fromkeys(one for one in found if one is not None)) or (BUILTIN,)

    def missing(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Those that are asked for and work with no configured model. Raises Malformed."""
        known = [model.backend for model in self.models]
        return tuple(one for one in wanted if _meant(backend_name.parse(one), known) is None)

    def every(self) -> tuple[str, ...]:
        """The names of all that can be chosen."""
        return (*(str(model.backend) for model in self.models), str(BUILTIN))


def model(given: str) -> ConfiguredModel:
    """Read `style:name`. Raises ValueError."""
    style, _, name = given.partition(":")
    match style:
        case "anthropic" | "openai" if name:
            return ConfiguredModel(name, style)
        case _:
            raise ValueError(f"{given}: a model is given as anthropic:NAME or openai:NAME")


def _meant(one: BackendName, known: Iterable[BackendName]) -> BackendName | None:
    if one == BUILTIN:
        return one
    fits = (each for each in known if each.kind == one.kind)
    return next((each for each in fits if one.model in (None, each.model)), None)
