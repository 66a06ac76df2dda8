"""Pure: what has set off a task's run that is no moment, in the run's 43001.

    ["q", id]                              an event of the task's own conversation; content empty
    {"event":{…}}                          a public event, whole
    {"call":{"type":"…","body":"…"}}       what was posted to it
    ["signed", name]                       beside it: the signature that it came with

What is public is copied, for it may be gone where it was; what people say among themselves is named
only, so what they take back is gone here too. Source: PROTOCOL.md "What sets a task off".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from nips.event import Event, Tags, Template
from nips.key import is_hex
from nips.own.fields import json_object, known_only, only_tag, text
from nips.refusal import Malformed

MAX_BODY_BYTES = 65_536
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}", re.ASCII)
PLAIN = "text/plain"
_WHAT = "job request"


@dataclass(frozen=True, slots=True)
class Said:
    """An event of the group, by its id."""

    id: str


@dataclass(frozen=True, slots=True)
class Published:
    """A public event."""

    event: Event


@dataclass(frozen=True, slots=True)
class Called:
    """What was posted: its media type, without parameters, and its text. signed: the name of the
    signature that it came with (`hook.Signed.name`)."""

    media_type: str
    body: str
    signed: str


Cause = Said | Published | Called


def tags(cause: Cause | None) -> Tags:
    """Its tags in the job's request."""
    match cause:
        case Said(event):
            return (("q", event),)
        case Called(signed=signed):
            return (("signed", signed),)
        case _:
            return ()


def content(cause: Cause | None) -> str:
    """The content of the job's request."""
    match cause:
        case Published(event):
            return _written({"event": event.to_json()})
        case Called(media_type, body, _):
            return _written({"call": {"type": media_type, "body": body}})
        case _:
            return ""


def parse(request: Event | Template) -> Cause | None:
    """What set off a run, from its 43001; None for a moment. Raises Malformed, also for a public
    event whose signature does not hold."""
    if not request.content:
        if not request.values("q"):
            return None
        named = only_tag(_WHAT, request, "q")
        if not is_hex(named, 32):
            raise Malformed(f"{_WHAT}: q must be an event's id")
        return Said(named)
    given = json_object(_WHAT, request.content)
    known_only(_WHAT, given, ("event", "call"))
    if len(given) != 1 or request.values("q"):
        raise Malformed(f"{_WHAT}: it has one cause")
    if "event" in given:
        event = Event.from_json(given["event"])
        event.verify()
        return Published(event)
    call = given["call"]
    if not isinstance(call, dict):
        raise Malformed(f"{_WHAT}: a call must be an object")
    known_only(f"{_WHAT}: call", call, ("type", "body"))
    media_type = text(f"{_WHAT}: type", call.get("type"))
    if not MEDIA_TYPE.fullmatch(media_type):
        raise Malformed(f"{_WHAT}: type must be a media type")
    body, signed = text(f"{_WHAT}: body", call.get("body")), only_tag(_WHAT, request, "signed")
    if not is_hex(signed, 32):
        raise Malformed(f"{_WHAT}: signed must be a digest")
    return Called(media_type, body, signed)


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
