"""Pure: which events can be searched for, and under which words. Source: NIP-50."""

from __future__ import annotations

from nips import nip50
from nips.event import Event
from nips.kinds import Kind

# Ciphertext; nobody looks for it, and its words would fill the index.
_SEALED_KINDS = frozenset({4, 13, 1059, 1060, 24_133, 24_200, 44_200, 13_194, 23_194, 23_195})
_RECORDS = frozenset({Kind.APP_DATA})  # JSON for programs, ciphertext with some


def is_searchable(event: Event) -> bool:
    """Say whether the event's content is looked through."""
    return event.kind not in _SEALED_KINDS | _RECORDS and bool(event.content)


def words_of(event: Event) -> str:
    """The terms of an event as the index holds them; empty when it is not searched."""
    return " ".join(nip50.terms(event.content)) if is_searchable(event) else ""
