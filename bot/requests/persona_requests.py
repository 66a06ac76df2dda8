"""Shell: `set_persona`: an agent changes who it is, in its own group or, in main, everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bot.author import Author
from bot.notice import notice
from bot.persona import Personas
from bot.requests.methods import Asked
from bot.requests.widening import shown
from nips.own.persona import Persona
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, refused

EVERYWHERE = "everywhere"


class PersonaRequests:
    """name_of: what a group (its UUID) is called in a sentence."""

    def __init__(
        self, author: Author, roles: Roles, personas: Personas, name_of: Callable[[str], str]
    ) -> None:
        self._author, self._roles, self._personas = author, roles, personas
        self._name_of = name_of

    async def set_persona(self, asked: Asked) -> str:
        """`[scope, changes]`. scope: empty for the session's own group, `everywhere` in main
        only. changes: a JSON object of `name`, `picture`, `text`; null takes one away."""
        scope, text = asked.take(2, 2, "a scope and a JSON object")
        if scope not in ("", EVERYWHERE):
            raise refused(Prefix.INVALID, f"a scope is empty or {EVERYWHERE!r}")
        if scope == EVERYWHERE and not asked.session.is_main:
            raise refused(Prefix.RESTRICTED, "an agent changes its own conversation's persona only")
        group = None if scope == EVERYWHERE else asked.session.group
        try:
            changes = _object(text)
            before = self._personas.of(group)
            # Told before it is done: what a kill comes between is told, and done when asked again.
            await self._tell(asked, before, self._personas.after(group, changes))
            after = await self._personas.change(group, **changes)
        except Malformed as error:
            raise refused(Prefix.INVALID, str(error)) from error
        return _words(before, after, group)

    async def _tell(self, asked: Asked, before: Persona, after: Persona) -> None:
        """A new name wakes it by another word, and looks like somebody: the owner is told."""
        session = asked.session
        if session.is_main or after.name == before.name:
            return
        words = (
            f"ℹ️ In {self._name_of(session.group)} its agent changed its name from "
            f"{shown(before.name or '')} to {shown(after.name or '')}."
        )
        once = asked.told(words)
        await self._author.publish(notice(self._roles, once, words, now_s=self._author.now_s()))


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed("the changes must be a JSON object") from error
    if not isinstance(value, dict) or not value:
        raise Malformed("the changes must be a JSON object with a name, a picture or a text")
    return value


def _words(before: Persona, after: Persona, group: str | None) -> str:
    if before == after:
        return "It is like that already."
    where = "everywhere" if group is None else "here"
    said = [f"I am {after.name} {where}"] if before.name != after.name else []
    if group is None and (before.name, before.picture) != (after.name, after.picture):
        said.append("the owner is asked before my public profile says so")
    if before.picture != after.picture:
        said.append("my picture is another" if after.picture else "I have no picture")
    if before.text != after.text:
        said.append("my instructions are new, from the next run on")
    return f"{'; '.join(said)}."
