"""Pure: what an agent is doing, as its owner's client shows it live: kind 24200, never stored.

Source: PROTOCOL.md "Kind 24200"; Buzz's NIP-AO. By the bot, `["p",<owner>]`, `["agent",<bot>]`,
`["frame","telemetry"]`; the content is NIP-44 to the owner of

    {"seq":7,"timestamp":"2026-01-01T00:00:42.120Z","kind":"acp_read",
     "payload":{"type":"tool_call","tool":"recall","text":"{}"},
     "channelId":"<group>","sessionId":"<session's key>","turnId":"<43001>"}

A session gives `seq`, `kind` and `payload`; the signer adds the rest from what it knows itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own.fields import hex32, integer, json_object, known_only, of_kind, only_tag, text
from nips.refusal import Malformed

METHOD = "frame"
MAX_PAYLOAD_FIELDS = 8
MAX_PAYLOAD_BYTES = 4_096  # of all its names and values

FrameKind = Literal[
    "turn_started", "session_resolved", "acp_read", "acp_write", "turn_completed", "turn_error"
]
ENDINGS: frozenset[FrameKind] = frozenset({"turn_completed", "turn_error"})


@dataclass(frozen=True, slots=True)
class Told:
    """What a session tells of its work. kind: `session_resolved` says what answers, `acp_read`
    what the agent wants or writes, `acp_write` what it is told. payload: short texts by name."""

    seq: int
    kind: FrameKind
    payload: Mapping[str, str]

    def to_json(self) -> str:
        """The parameter of the request."""
        value = {"seq": self.seq, "kind": self.kind, "payload": dict(self.payload)}
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def parse(parameter: str) -> Told:
    """Read the parameter of the request. Raises Malformed with the field that is wrong."""
    value = json_object("frame", parameter)
    known_only("frame", value, Told.__slots__)
    kind = text("frame: kind", value.get("kind"))
    if kind not in get_args(FrameKind):
        raise Malformed(f"frame: kind must be one of {', '.join(get_args(FrameKind))}")
    payload = value.get("payload")
    if not isinstance(payload, Mapping) or len(payload) > MAX_PAYLOAD_FIELDS:
        raise Malformed(f"frame: payload must be an object of at most {MAX_PAYLOAD_FIELDS} texts")
    texts = {text("frame: a name", n): text("frame: payload", v) for n, v in payload.items()}
    if sum(len(n.encode()) + len(v.encode()) for n, v in texts.items()) > MAX_PAYLOAD_BYTES:
        raise Malformed(f"frame: payload has at most {MAX_PAYLOAD_BYTES} bytes")
    return Told(integer("frame: seq", value.get("seq")), kind, texts)  # type: ignore[arg-type]


def content(told: Told, *, now_s: float, group: str, session: str, turn: str) -> str:
    """The text that is encrypted to the owner. now_s: unix seconds."""
    at = datetime.fromtimestamp(now_s, UTC)
    value = {
        "seq": told.seq,
        # Clients sort these as texts: always of the same width.
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1_000:03}Z",
        "kind": told.kind,
        "payload": dict(told.payload),
        "channelId": group,
        "sessionId": session,
        "turnId": turn,
    }
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def template(bot: str, owner: str, ciphertext: str, created_at: int) -> Template:
    """The unsigned 24200 of the bot for its owner, both in hex."""
    tags = (("p", owner), ("agent", bot), ("frame", "telemetry"))
    return Template(bot, created_at, Kind.FRAME, tags, ciphertext)


def recipient(event: Event) -> str:
    """To whom a frame shows the work of the agent that signed it. Raises Malformed.

    NIP-AO: exactly one tag each of `p`, `agent` and `frame`.
    """
    what = "frame"
    of_kind(what, event, Kind.FRAME)
    to = hex32(f"{what}: p", only_tag(what, event, "p"))
    if only_tag(what, event, "agent") != event.pubkey:
        raise Malformed(f"{what}: an agent shows its own work only")
    if only_tag(what, event, "frame") != "telemetry":
        raise Malformed(f"{what}: no frame but telemetry is read here")
    return to
