"""Shell: who of Signal has spoken in our groups: what they call themselves, whose puppet is theirs.

It is kept on the relay, so that after a start they are called as before, and what they said can be
answered to them: 30078 by the bridge, `["d","signal/person/<puppet's key>"]`, `["t",
"signal-person"]`, content `{"aci":"…","name":"…"}`. No number is in it.
Source: PROTOCOL.md "What came from Signal".
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from secrets import token_bytes

import structlog

from bot.bridges.signal.addresses import is_aci
from bot.bridges.signal.people import plain_name, shown_name
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.fields import json_object
from nips.refusal import Malformed
from relay_local.client import Delivery, Link

D_PREFIX = "signal/person/"
TOPIC = "signal-person"
MAX_KNOWN = 20_000  # those who spoke last; about 10 MB

log = structlog.get_logger()


class Known:
    """key: the bridge's own. puppet_of: gives the puppet's key, in hex, of an ACI."""

    def __init__(self, link: Link, key: SecretKey, puppet_of: Callable[[str], str]) -> None:
        self._link, self._key, self._puppet_of = link, key, puppet_of
        self._names: OrderedDict[str, str] = OrderedDict()
        self._by_puppet: dict[str, str] = {}
        self._written: dict[str, tuple[str, int]] = {}

    async def load(self) -> None:
        """Read who is known from the relay."""
        wanted = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}),
            authors=frozenset({self._key.public}),
            tags={"t": frozenset({TOPIC})},
        )
        # By arrival: without it the relay would cap the stored events.
        async with self._link.subscribe([wanted], after_seq=0) as stream:
            async for item in stream:
                if not isinstance(item, Delivery):
                    break
                self._take(item.event)

    def __contains__(self, aci: str) -> bool:
        """Say whether somebody has spoken in a group of ours."""
        return aci in self._names

    def learn(self, aci: str, name: str | None) -> None:
        """Take what somebody who speaks calls themselves; nothing is taken for what it was."""
        self._names[aci] = name or self._names.get(aci, "")
        self._names.move_to_end(aci)
        while len(self._names) > MAX_KNOWN:
            self._forget(self._names.popitem(last=False)[0])

    def name_of(self, aci: str) -> str:
        """What they are called in our groups."""
        return shown_name(aci, self._names.get(aci))

    def plain_name_of(self, aci: str) -> str:
        """What they are called among words."""
        return plain_name(aci, self._names.get(aci))

    def aci_of(self, puppet: str) -> str | None:
        """Whose puppet it is (its key in hex); None for any other key."""
        return self._by_puppet.get(puppet)

    async def keep(self, aci: str) -> None:
        """Write down what is known of somebody, where that is new."""
        name = self._names.get(aci, "")
        former, written_s = self._written.get(aci, (None, 0))
        if name == former:
            return
        puppet = self._puppet_of(aci)
        # Two versions in one second tie and the lower id wins: each steps forward.
        created_at = max(int(time.time()), written_s + 1)
        tags = (
            ("d", D_PREFIX + puppet),
            ("t", TOPIC),
            ("alt", "Somebody of Signal who speaks in a group"),
        )
        content = json.dumps({"aci": aci, "name": name}, ensure_ascii=False)
        made = Template(self._key.public, created_at, Kind.APP_DATA, tags, content)
        ok = await self._link.publish(made.sign(self._key, token_bytes(32)))
        self._by_puppet[puppet] = aci
        if ok.refusal is not None:
            log.warning("somebody not written down", reason=ok.message)
            return
        self._written[aci] = name, created_at

    def _take(self, event: Event) -> None:
        puppet = (event.tag("d") or "").removeprefix(D_PREFIX)
        try:
            match json_object("person", event.content):
                case {"aci": str(aci), "name": str(name)} if is_aci(aci):
                    self._by_puppet[puppet] = aci
                    self._written[aci] = name, event.created_at
                    self.learn(aci, name)
                case _:
                    raise Malformed("person: aci and name are missing")
        except Malformed as error:
            log.error("somebody not understood", event_id=event.id, reason=str(error))

    def _forget(self, aci: str) -> None:
        self._written.pop(aci, None)
        self._by_puppet.pop(self._puppet_of(aci), None)
