"""Pure: a JSON object of somebody else's, read field by field.

A field that is missing or null is None. One that is of another type than it should be is Malformed,
with its name and nothing of what is in it: a refusal is logged, what people write never is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from nips.refusal import Malformed

CUT = " […]"
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # not line feed and tabulator


class Fields:
    """value: what should be an object. at: what it is called in a refusal."""

    def __init__(self, value: Any, at: str) -> None:
        if not isinstance(value, Mapping):
            raise Malformed(f"{at} is no object")
        self._value, self._at = value, at

    def has(self, name: str) -> bool:
        """Say whether there is something."""
        return self._value.get(name) is not None

    def part(self, name: str) -> Self | None:
        """An object within."""
        value = self._value.get(name)
        return None if value is None else type(self)(value, self._name(name))

    def names(self, most: int) -> list[str]:
        """The names of the first so many fields that are texts."""
        return [name for name in self._value if isinstance(name, str)][:most]

    def anything(self, name: str, most: int) -> list[Any]:
        """The first so many members of a list within, whatever they are."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise Malformed(f"{self._name(name)} is no list")
        return value[:most]

    def parts(self, name: str, most: int) -> list[Self]:
        """The first so many objects of a list within."""
        return [type(self)(item, self._name(name)) for item in self.anything(name, most)]

    def text(self, name: str, most: int) -> str | None:
        """Text with spaces for control characters, cut where it has more characters than that."""
        value = self._value.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise Malformed(f"{self._name(name)} is no text")
        return _cut(value, most)

    def texts(self, name: str, most: int, most_chars: int) -> list[str]:
        """The texts among the first so many members of a list within."""
        found = self.anything(name, most)
        return [_cut(item, most_chars) for item in found if isinstance(item, str)]

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds, both included."""
        value = self._value.get(name)
        if value is None:
            return None
        if type(value) is not int:  # True is an int too
            raise Malformed(f"{self._name(name)} is no whole number")
        if not least <= value <= most:
            raise Malformed(f"{self._name(name)} is out of bounds")
        return value

    def flag(self, name: str) -> bool:
        """Yes or no; what is missing is no."""
        value = self._value.get(name)
        if value is not None and not isinstance(value, bool):
            raise Malformed(f"{self._name(name)} is neither true nor false")
        return value is True

    def missing(self, name: str) -> Malformed:
        """The refusal of an object that lacks a field."""
        return Malformed(f"{self._name(name)} is missing")

    def _name(self, name: str) -> str:
        return f"{self._at}.{name}"


def _cut(text: str, most: int) -> str:
    if not text.isprintable():
        # Attack: half of a surrogate pair, which no encoding takes, stops whoever writes it down.
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        text = _CONTROLS.sub(" ", whole)  # sign for sign: mentions are found by counting
    return text if len(text) <= most else text[:most] + CUT
