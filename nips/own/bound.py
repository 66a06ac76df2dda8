"""Pure: who was bound to which group when a reader had come so far. Source: PROTOCOL.md "Who was
bound".

Kind 30078 by a bridge, `["d","bound/<reader>"]`, content

    {"6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4":["signal:<id>"]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own.binding import MAX_COUNTERPARTS
from nips.own.fields import group_id, json_object, of_kind, only_tag, text
from nips.refusal import Malformed

D_PREFIX = "bound/"

People = tuple[str, ...]


def template(
    reader: str, bound: Mapping[str, People], bridge: str, created_at: int
) -> Template:  # fmt: skip
    """The unsigned event of the bridge (hex). bound: by a group's UUID, its counterparts as they
    stand in a binding."""
    content = json.dumps(
        {group: list(people) for group, people in bound.items()},
        separators=(",", ":"),
        ensure_ascii=False,
    )
    tags = (("d", D_PREFIX + reader), ("alt", "Who was bound, as far as a bridge has read"))
    return Template(bridge, created_at, Kind.APP_DATA, tags, content)


def parse(event: Event | Template) -> dict[str, People]:
    """Read it. Raises Malformed."""
    of_kind("bound", event, Kind.APP_DATA)
    if not only_tag("bound", event, "d").startswith(D_PREFIX):
        raise Malformed(f"bound: d must begin with {D_PREFIX}")
    found = json_object("bound", event.content)
    return {group_id("bound: a group", group): _people(people) for group, people in found.items()}


def _people(value: object) -> People:
    if not isinstance(value, list) or len(value) > MAX_COUNTERPARTS:
        raise Malformed(f"bound: a group has an array of at most {MAX_COUNTERPARTS} counterparts")
    return tuple(text("bound: a counterpart", one) for one in value)
