"""Pure: asking everybody to forget an event of one's own, kind 5. Source: NIP-09."""

from __future__ import annotations

from nips.event import Event, Tag, Tags, Template
from nips.kinds import Kind
from nips.reference import coordinates
from nips.refusal import Malformed


def retraction(of: Event, created_at: int, more: Tags = ()) -> Template:
    """The unsigned request by the author of `of`; `created_at` in unix seconds.

    more: further tags. Raises Malformed for a retraction, of which there is none.
    """
    if of.kind == Kind.DELETION:
        # NIP-09: "Publishing a deletion request event against a deletion request has no effect."
        raise Malformed("a retraction cannot be retracted")
    where = coordinates(of)
    # A draft was sent to nobody: so that this stays here too, it names no id.
    tags: list[Tag] = [] if of.kind == Kind.DRAFT else [("e", of.id)]
    if where is not None:
        # NIP-09: "delete all versions of the replaceable event up to the `created_at` timestamp"
        tags.append(("a", where))
        created_at = max(created_at, of.created_at)  # which may be a little ahead of the clock
    # NIP-09: "SHOULD include a `k` tag for the kind of each event"
    return Template(of.pubkey, created_at, Kind.DELETION, (*tags, ("k", str(of.kind)), *more), "")
