"""An oracle: which observer frames (24200) Amethyst takes, and in which order it shows them.

Written from a description of vitorpamplona/amethyst at 10149d71 and of Buzz's NIP-AO, not from
our own output or parsers. The content is read after it was decrypted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

KIND = 24_200
FRAMES = ("telemetry", "control")
# UTC, milliseconds, fixed width: the strings are sorted.
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def asked(viewer: str) -> list[dict[str, Any]]:
    """The filter that the screen sends."""
    return [{"kinds": [KIND], "#p": [viewer]}]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of telemetry."""

    agent: str
    seq: int
    timestamp: str
    kind: str
    payload: object
    channel: str | None


def read(event: dict[str, Any], content: str) -> Frame | None:
    """A frame of telemetry; None where the screen takes it for none."""
    tags = {name: _all(event, name) for name in ("p", "agent", "frame")}
    if event["kind"] != KIND or any(len(found) != 1 for found in tags.values()):
        return None
    if tags["frame"] != ["telemetry"]:
        return None
    try:
        value = json.loads(content)
    except ValueError:
        return None
    if not isinstance(value, dict) or "payload" not in value:
        return None
    seq, timestamp, kind = (value.get(name) for name in ("seq", "timestamp", "kind"))
    if isinstance(seq, bool) or not isinstance(seq, int) or not isinstance(kind, str):
        return None
    if not isinstance(timestamp, str) or not TIMESTAMP.fullmatch(timestamp):
        return None
    if not all(isinstance(value.get(n), str | None) for n in ("channelId", "sessionId", "turnId")):
        return None
    [agent] = tags["agent"]
    return Frame(agent, seq, timestamp, kind, value["payload"], value.get("channelId"))


def shown(frames: Iterable[Frame]) -> list[Frame]:
    """The frames in the order of the screen."""
    return sorted(frames, key=lambda frame: (frame.timestamp, frame.seq))


def _all(event: dict[str, Any], name: str) -> list[str]:
    return [tag[1] for tag in event["tags"] if tag[:1] == [name] and len(tag) > 1]
