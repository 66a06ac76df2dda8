"""Shell: the tools that ask the router: for files, groups, words elsewhere, a name.

The docstrings and hints below are what a model is told (schema.py), so they speak to it. What a
session may ask the router judges, by the session's own group.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from agent_image.agent.asking import Asking, NotDone
from agent_image.agent.job import Job

TAKEN_AWAY = "-"


class HouseTools:
    """call_key: names the call that is being carried out. folder: the group's; out: where files
    that are handed over lie."""

    def __init__(
        self, job: Job, asking: Asking, call_key: Callable[[], str], folder: Path, out: Path
    ) -> None:
        self._job, self._asking, self._call_key = job, asking, call_key
        self._folder, self._out = folder, out

    async def send_file(
        self,
        name: Annotated[str, "a file's name in /workspace/ipc/out, or in /workspace/group"],
    ) -> str:
        """Hand a file over to the people of this conversation; at most 25 MiB."""
        self._put_out(name)
        return await self._ask("send_file", name)

    async def set_persona(
        self,
        name: Annotated[str, "the new name; unchanged if empty, the usual one if -"] = "",
        picture: Annotated[str, "https address of a picture; unchanged if empty, none if -"] = "",
        text: Annotated[str, "what you are told to be; unchanged if empty, none if -"] = "",
        everywhere: Annotated[bool, "in every conversation; only in the owner's own one"] = False,
    ) -> str:
        """Change who you are in this conversation. People call you by the name to wake you."""
        given = {"name": name, "picture": picture, "text": text}
        changes = {
            field: None if value == TAKEN_AWAY else value for field, value in given.items() if value
        }
        if not changes:
            raise NotDone("nothing was to change")
        scope = "everywhere" if everywhere else ""
        return await self._ask("set_persona", scope, json.dumps(changes, ensure_ascii=False))

    async def set_group(
        self,
        changes: Annotated[
            str,
            'a JSON object with any of: trigger (a word that wakes you, "" for your name, null '
            "for every message), senders (trusted or members), muted (keys in hex), agents (true "
            "or false), owner_speaks (true: the owner's own words here go out to its people on "
            'Signal), paused, quiet ({"start":"22:00","end":"07:00","zone":"Europe/Berlin"} or '
            "null), models (names or null), budget (runs, tokens, microusd of a day), name, add "
            "and remove (people: npub…, signal:…)",
        ],
        conversation: Annotated[
            str, "which one; this one if empty, another only from the owner's own"
        ] = "",
    ) -> str:
        """Change the rules of a conversation. What lets more in the owner is asked for first."""
        return await self._ask("set_group", conversation, changes)

    async def list_groups(self) -> str:
        """List every conversation; only from the owner's own."""
        return await self._ask("list_groups")

    async def register_group(
        self,
        name: Annotated[str, "what it is called"],
        people: Annotated[str, "npub… of each, apart by spaces; the owner alone if empty"] = "",
        trigger: Annotated[str, "a word that wakes you; your name if empty; none: all"] = "",
    ) -> str:
        """Make a new conversation; only from the owner's own. People in it the owner is asked
        about first."""
        return await self._ask("register_group", name, people, trigger)

    async def ask_owner(
        self, question: Annotated[str, "what to ask, clear by itself, to be answered by yes or no"]
    ) -> str:
        """Ask your owner a yes or no question. The answer comes later, as a message here that
        wakes you; nothing else follows from it. Finish without waiting for it."""
        return await self._ask("ask_owner", question)

    async def propose_change(
        self,
        title: Annotated[str, "what it changes and why, on one line"],
        patch: Annotated[
            str, "a unified diff as `git diff` writes it, of files under /workspace/project"
        ],
    ) -> str:
        """Propose a change to your own program, for your owner to read and perhaps apply. Only
        texts: no modes, renames, links or binary files."""
        return await self._ask("propose_change", title, patch)

    async def say_elsewhere(self, conversation: str, text: str) -> str:
        """Say something in another conversation, by its name or folder."""
        return await self._ask("send_to_group", conversation, text)

    async def _ask(self, method: str, *params: str) -> str:
        return await self._asking.ask(self._job, self._call_key(), method, *params)

    def _put_out(self, name: str) -> None:
        """Put a file of the group's folder where the router takes it from."""
        source, target = self._folder / name, self._out / name
        if "/" in name or not source.is_file():
            return  # the router says what is wrong with it
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            return
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise NotDone(f"{name!r} could not be copied: {error.strerror}") from error
