"""Pure: messages that came while a job of their group was open, and belong to it: 43003 by the
router. Source: PROTOCOL.md "Jobs".

    43003  h, ["e", job], ["q", message], ["position", n], ["status", "running"], o   handed to it
    43003  h, ["e", job], ["q", message], ["status", "withdrawn"]                     taken back

A message has one job, or is handed to one: both under one once-key. Parsers check forms, not
signatures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own.fields import hex32, of_kind, only_tag
from nips.own.job_tags import count_of, group_of, job_of, key_of
from nips.refusal import Malformed

MAX_HANDED = 20  # messages handed to one job


@dataclass(frozen=True, slots=True)
class Handed:
    """43003 of the router: `message` came while its group's job was open, and belongs to it.

    position: the order in which to answer, from 1. withdrawn: it is not to be answered any more,
    by whoever has not begun to.
    """

    id: str
    group: str
    job: str
    message: str
    position: int = 1
    withdrawn: bool = False


def handed(
    router: str,
    group: str,
    job: str,
    message: str,
    created_at: int,
    *,
    position: int = 1,
    after: str | None = None,
) -> Template:
    """43003 by the router: the message belongs to this job. Its once-key is that of the 43001 that
    the message would have had, so that it is exactly one of both."""
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", job),
        ("q", message),
        ("position", str(position)),
        ("status", "running"),
        ("o", key_of(message, after)),
        ("alt", "A message was added to a request"),
    )
    return Template(router, created_at, Kind.JOB_PROGRESS, tags, "")


def withdrawn(router: str, group: str, job: str, message: str, created_at: int) -> Template:
    """43003 by the router: a message handed to this job is not to be answered."""
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", job),
        ("q", message),
        ("status", "withdrawn"),
        ("alt", "A message was taken back"),
    )
    return Template(router, created_at, Kind.JOB_PROGRESS, tags, "")


def parse_handed(event: Event | Template) -> Handed:
    """Read a router's 43003. Raises Malformed; whose it is, is for the caller to check."""
    what = "handed message"
    of_kind(what, event, Kind.JOB_PROGRESS)
    message = hex32(f"{what}: q", only_tag(what, event, "q"))
    found = Handed(event.id, group_of(what, event), job_of(what, event), message)
    match only_tag(what, event, "status"):
        case "running":
            return replace(found, position=count_of(what, event, "position"))
        case "withdrawn":
            return replace(found, withdrawn=True)
        case _:
            raise Malformed(f"{what}: status must be running or withdrawn")
