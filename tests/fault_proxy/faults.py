"""Pure: what can be wrong between a client and a relay: the table of faults, each a class.

A fault is shown every frame and answers with the frames that go on, to whom and how late.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from nips.event import Template
from nips.key import SecretKey


class Gate(Enum):
    """What becomes of TCP connections, below all frames."""

    OPEN = "all pass"
    REFUSE = "nobody listens, and what was open is reset"
    CLOSE = "what is open is closed, once; then all pass"
    SWALLOW = "accepted, and every byte swallowed both ways, of old connections and new ones"
    SWALLOW_OLD = "the same of those that were open; new ones pass"


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it came, and what it says where that is a JSON array."""

    data: str | bytes
    said: list[Any]

    @property
    def verb(self) -> str:
        """Such as EVENT; "?" where it is nothing of the protocol."""
        return self.said[0] if self.said and isinstance(self.said[0], str) else "?"


@dataclass(frozen=True, slots=True)
class Sent:
    """A frame that goes on.

    after_s: how late. takes_s: how long the line is busy with it. in_line: behind all that went
    before it.
    """

    data: str | bytes
    to_relay: bool = False
    after_s: float = 0.0
    takes_s: float = 0.0
    in_line: bool = True


@dataclass(kw_only=True)
class Fault:
    """All passes. subscriptions: the open ones of a connection, the first filter by name."""

    gate: ClassVar[Gate] = Gate.OPEN
    dice: random.Random

    def begins(self, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        """A connection opens, or is open when the fault begins."""
        return []

    def up(self, frame: Frame) -> list[Sent]:
        """The client says something."""
        return [Sent(frame.data, to_relay=True)]

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        """The relay says something."""
        return [Sent(frame.data)]


class Pass(Fault):
    """No fault."""


class Refuse(Fault):
    """Nobody listens at the port."""

    gate = Gate.REFUSE


class Close(Fault):
    """All connections are closed, once."""

    gate = Gate.CLOSE


class BlackHole(Fault):
    """A firewall that drops all but the handshake of TCP."""

    gate = Gate.SWALLOW


class HalfOpen(Fault):
    """A forgotten NAT entry: what was open stays open, and carries nothing any more."""

    gate = Gate.SWALLOW_OLD


class Deaf(Fault):
    """Answers pings, takes events, ends every REQ with EOSE, and shows no event."""

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        return [] if frame.verb == "EVENT" else [Sent(frame.data)]


class Mute(Fault):
    """Answers pings, takes events, and no REQ has an answer."""

    def up(self, frame: Frame) -> list[Sent]:
        return [] if frame.verb == "REQ" else [Sent(frame.data, to_relay=True)]


class Garbage(Fault):
    """Between good frames come some that mean nothing."""

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        name = str(frame.said[1]) if len(frame.said) > 1 else "x"
        nonsense: list[str | bytes] = [
            "", "null", "{}", "[]", "[[]]", '["EVENT"]', "\x00", "hello", '["OK"]', '["EOSE"]',
            '["NOTICE"]', '["COFFEE","x"]', '["EVENT","x",{"id":1', "[" * 1_000, '["CLOSED",null]',
            json.dumps(["EVENT", name, {}]), json.dumps(["EVENT", name, {"kind": "x"}]),
            json.dumps(["EVENT", name, None]), json.dumps(["OK", name, "yes", 1]),
            json.dumps(["NOTICE", "\x1b[31m" + "x" * 10_000]),
            self.dice.randbytes(200), b"", b'["EVENT"]',
        ]  # fmt: skip
        return [Sent(data) for data in self.dice.choices(nonsense, k=2)] + [Sent(frame.data)]


@dataclass(kw_only=True)
class Slow(Fault):
    """Each frame is late, by a time and by its length."""

    after_ms: int = 200
    bytes_per_s: int = 0  # 0: as fast as it comes

    def up(self, frame: Frame) -> list[Sent]:
        return [self._late(frame, to_relay=True)]

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        return [self._late(frame, to_relay=False)]

    def _late(self, frame: Frame, *, to_relay: bool) -> Sent:
        takes_s = len(frame.data) / self.bytes_per_s if self.bytes_per_s else 0.0
        return Sent(frame.data, to_relay, self.after_ms / 1_000, takes_s)


@dataclass(kw_only=True)
class Drop(Fault):
    """Some events never come."""

    p: float = 0.5

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        lost = frame.verb == "EVENT" and self.dice.random() < self.p
        return [] if lost else [Sent(frame.data)]


class RejectAuth(Fault):
    """Demands a login for everything and takes none."""

    def begins(self, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        return [Sent(json.dumps(["AUTH", self.dice.randbytes(16).hex()]))] + [
            Sent(json.dumps(["CLOSED", name, "auth-required: log in first"]))
            for name in subscriptions
        ]

    def up(self, frame: Frame) -> list[Sent]:
        return _refused(frame, "auth-required: log in first", verbs=("REQ", "EVENT", "AUTH"))


class RateLimit(Fault):
    """Has had enough of us."""

    def up(self, frame: Frame) -> list[Sent]:
        return _refused(frame, "rate-limited: slow down", verbs=("REQ", "EVENT"))


class Forge(Fault):
    """One bit of each event's signature is another."""

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        match frame.said:
            case ["EVENT", name, {"sig": str(sig)} as event, *rest]:
                changed = event | {"sig": f"{int(sig, 16) ^ 1:0128x}"}
                return [Sent(json.dumps(["EVENT", name, changed, *rest]))]
        return [Sent(frame.data)]


class Duplicate(Fault):
    """Each event comes twice."""

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        return [Sent(frame.data)] * (2 if frame.verb == "EVENT" else 1)


@dataclass(kw_only=True)
class Reorder(Fault):
    """Events overtake each other; EOSE and what else is said comes behind those before it."""

    within_ms: int = 200

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        if frame.verb != "EVENT":
            return [Sent(frame.data)]
        return [Sent(frame.data, after_s=self.dice.uniform(0, self.within_ms / 1e3), in_line=False)]


@dataclass(kw_only=True)
class Huge(Fault):
    """Each open subscription is sent an event that fits it, is signed, and has 5 MB."""

    content_bytes: int = 5_000_000
    _known: dict[str, str] = field(default_factory=dict)  # by filter: to sign 5 MB takes a while

    def begins(self, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        return [self._event(name, wanted) for name, wanted in subscriptions.items()]

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        sent = [Sent(frame.data)]
        if frame.verb == "EOSE" and (wanted := subscriptions.get(frame.said[1])) is not None:
            sent.append(self._event(frame.said[1], wanted))
        return sent

    def _event(self, name: str, wanted: Mapping[str, Any]) -> Sent:
        which = json.dumps(wanted, sort_keys=True)
        if which not in self._known:
            key = SecretKey.generate(self.dice.randbytes)
            kind = int(next(iter(wanted.get("kinds", ())), 1))
            tags = tuple((tag[1], str(wanted[tag][0])) for tag in wanted if tag.startswith("#"))
            content = "A" * self.content_bytes
            created_at = int(wanted.get("since", 1_700_000_000)) + 1
            event = Template(key.public, created_at, kind, tags, content)
            signed = event.sign(key, self.dice.randbytes(32))
            self._known[which] = json.dumps(signed.to_json())
        return Sent(f'["EVENT",{json.dumps(name)},{self._known[which]}]')


@dataclass(kw_only=True)
class Insert(Fault):
    """Each open subscription, and each that opens, is sent these events, asked for or not."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def begins(self, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        return [sent for name in subscriptions for sent in self._under(name)]

    def down(self, frame: Frame, subscriptions: Mapping[str, Mapping[str, Any]]) -> list[Sent]:
        shown = self._under(frame.said[1]) if frame.verb == "EOSE" else []
        return [Sent(frame.data), *shown]

    def _under(self, name: str) -> list[Sent]:
        return [Sent(json.dumps(["EVENT", name, event])) for event in self.events]


FAULTS: Mapping[str, type[Fault]] = {
    "pass": Pass,
    "refuse": Refuse,
    "close": Close,
    "black-hole": BlackHole,
    "half-open": HalfOpen,
    "deaf": Deaf,
    "mute": Mute,
    "garbage": Garbage,
    "slow": Slow,
    "drop": Drop,
    "reject-auth": RejectAuth,
    "rate-limit": RateLimit,
    "forge": Forge,
    "duplicate": Duplicate,
    "reorder": Reorder,
    "huge": Huge,
    "insert": Insert,
}


def _refused(frame: Frame, reason: str, verbs: tuple[str, ...]) -> list[Sent]:
    """The relay's refusal of a REQ, EVENT or AUTH that it never sees; all else goes up."""
    match frame.said:
        case ["REQ" as verb, name, *_] if verb in verbs:
            return [Sent(json.dumps(["CLOSED", name, reason]))]
        case [("EVENT" | "AUTH") as verb, {"id": event_id}, *_] if verb in verbs:
            return [Sent(json.dumps(["OK", event_id, False, reason]))]
    return [Sent(frame.data, to_relay=True)]
