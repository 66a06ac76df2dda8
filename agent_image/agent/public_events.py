"""Shell: an event that a model names, found: the bot's own by the router, others by the relays."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_image.agent.asking import Asking, NotDone
from agent_image.agent.job import Job
from nips.event import Event
from nips.kinds import Storage, storage
from nips.nip19 import Naddr
from nips.nip21 import event_of
from nips.reference import Pointer, hint
from nips.refusal import Malformed

NOT_UNDERSTOOD = "the answer was not understood"


@dataclass(frozen=True, slots=True)
class Found:
    """A public event; relay: where it is said to be, "" where nobody says."""

    event: Event
    relay: str


class PublicEvents:
    """call_key: names the call that is being carried out; each looks for one event."""

    def __init__(self, job: Job, asking: Asking, call_key: Callable[[], str]) -> None:
        self._job, self._asking, self._call_key = job, asking, call_key

    async def own(self, named: str) -> Event | None:
        """The bot's event of this id, or with these coordinates. Raises NotDone."""
        # Asked for under the call's own key: an attempt after this one asks again, for by then it
        # may have changed.
        key = f"{self._call_key()} find {named}"
        answer = await self._asking.ask(self._job, key, "find_published", named)
        try:
            found = json.loads(answer)
            return Event.from_json(found) if found else None
        except (ValueError, Malformed) as error:
            raise NotDone(NOT_UNDERSTOOD) from error

    async def find(self, named: str) -> Found:
        """The event that is meant by hex, note, nevent or naddr. Raises NotDone: for what is not
        there, and for what is not public."""
        try:
            where = event_of(named)
        except Malformed as error:
            raise NotDone(str(error)) from error
        relays = (where.relay,) if isinstance(where, Pointer) else where.relays
        event = await self._own(where) or await self._of_others(where)
        # Attack: a public answer tells everybody of what was said in a group.
        if any(tag[0] == "h" for tag in event.tags):
            raise NotDone("it belongs to a group, and is not for everybody")
        return Found(event, next(filter(None, map(hint, relays)), ""))

    async def _own(self, where: Pointer | Naddr) -> Event | None:
        if where.author not in ("", self._job.bot):
            return None
        if isinstance(where, Pointer):
            return await self.own(where.id)
        return await self.own(f"{where.kind}:{where.author}:{where.identifier}")

    async def _of_others(self, where: Pointer | Naddr) -> Event:
        wanted: dict[str, Any] = {"limit": 1}
        if isinstance(where, Pointer):
            wanted |= {"ids": [where.id]}
        else:
            wanted |= {"kinds": [where.kind], "authors": [where.author]}
            is_named = storage(where.kind) is Storage.ADDRESSABLE
            wanted |= {"#d": [where.identifier]} if is_named else {}
        key = f"{self._call_key()} look"
        answer = await self._asking.ask(self._job, key, "nostr_query", json.dumps(wanted))
        try:
            events = json.loads(answer)["events"]
            if not events:
                raise NotDone("no relay that was asked has this event")
            return _event(events[0])
        except (ValueError, KeyError, TypeError) as error:
            raise NotDone(NOT_UNDERSTOOD) from error


def _event(shown: Mapping[str, Any]) -> Event:
    """An event as the bridge passed it on. It has checked the signature, which is not here: what is
    long is cut, and holds no signature any more. Raises ValueError."""
    if shown.get("tags_left_out"):
        raise NotDone("it has more tags than are passed on, so what it answers is not known")
    try:
        return Event.from_json({**shown, "sig": "0" * 128})
    except Malformed as error:
        raise ValueError(str(error)) from error
