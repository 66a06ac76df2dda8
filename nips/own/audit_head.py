"""Pure: the head of the signer's audit chain, as it was at a moment of a day.

Kind 30078 by the signer's role key, `["d","audit/<day>"]` with the UTC day, `["p",<owner>]`,
content `{"rows":412,"head":"<hash of row 412>","at":1767225600}`. Each day has an address of its
own, so that what was said stays said: a chain that was cut short or put back to an earlier copy
does not hold the row any more, or holds another. Source: PROTOCOL.md "Audit".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own.fields import hex32, integer, json_object, known_only, of_kind, only_tag
from nips.refusal import Malformed

D_PREFIX = "audit/"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class AuditHead:
    """At unix second `at_s` of UTC day `day` the chain had `rows` rows, the last with the hash
    `head` (64 zeros before the first)."""

    day: str
    rows: int
    head: str
    at_s: int


def day_of(at_s: float) -> str:
    """The UTC day of a unix second, as in `2026-01-31`."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")


def template(head: AuditHead, signer: str, owner: str) -> Template:
    """The unsigned event by which the role key `signer` tells `owner` (both hex)."""
    content = {"rows": head.rows, "head": head.head, "at": head.at_s}
    return Template(
        signer,
        head.at_s,
        Kind.APP_DATA,
        (
            ("d", D_PREFIX + head.day),
            ("p", owner),
            ("alt", f"The signer's audit log on {head.day}: {head.rows} rows"),
        ),
        json.dumps(content, separators=(",", ":")),
    )


def parse(event: Event, signer: str) -> AuditHead:
    """Read one. Id, signature and author are checked here: the relay is transport, and whoever
    could write a head could hide a missing row. Raises Malformed."""
    what = "audit head"
    of_kind(what, event, Kind.APP_DATA)
    if event.pubkey != signer:
        raise Malformed(f"{what}: not signed by the signer's role key")
    event.verify()
    day = only_tag(what, event, "d").removeprefix(D_PREFIX)
    if not _DAY.fullmatch(day) or only_tag(what, event, "d") != D_PREFIX + day:
        raise Malformed(f"{what}: d must be {D_PREFIX} and a day as in 2026-01-31")
    value = json_object(what, event.content)
    known_only(what, value, {"rows", "head", "at"})
    return AuditHead(
        day,
        integer(f"{what}: rows", value.get("rows")),
        hex32(f"{what}: head", value.get("head")),
        integer(f"{what}: at", value.get("at")),
    )
