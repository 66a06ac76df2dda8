"""Pure: what a bridge may have signed: logins at our relays, the profile, the relay lists.

All of them say only what the ceiling says already, so they need no question; another profile is
asked about. Source: NIP-42,
NIP-24, NIP-17 "Publishing", NIP-65.
"""

from __future__ import annotations

import json
from typing import Any

from nips import nip42
from nips.event import Tag, Template
from nips.kinds import Kind
from nips.refusal import Malformed, Prefix, Refusal
from signer.ceiling import Ceiling


def refusal(template: Template, ceiling: Ceiling) -> Refusal | None:
    """Say why the event is not what the ceiling says; None when it is."""
    relays = ceiling.relays
    match template.kind:
        case Kind.AUTH:
            return _login(template, ceiling)
        case Kind.PROFILE:
            if template.tags or not _same_profile(template.content, ceiling):
                return _restricted("this is not the profile in the ceiling")
        case Kind.INBOX_RELAYS:
            # NIP-17: "a list of `relay` tags with relay URIs"
            if not _is_list(template, tuple(("relay", url) for url in relays)):
                return _restricted("these are not the relays in the ceiling")
        case Kind.RELAY_LIST:
            # NIP-65: "If it is omitted, it means the author uses the relay for both purposes"
            if not _is_list(template, tuple(("r", url) for url in relays)):
                return _restricted("these are not the relays in the ceiling")
        case kind:
            return _restricted(f"kind {kind} is never signed for a bridge")
    return None


def needs_a_yes(template: Template, ceiling: Ceiling) -> bool:
    """Say whether this is a profile that the owner is asked about: not the ceiling's, but one, of
    the plain form, and the ceiling lets kind 0 be asked about at all."""
    if template.kind != Kind.PROFILE or template.tags or not ceiling.may_be_asked(Kind.PROFILE):
        return False
    return _profile(template.content) is not None and not _same_profile(template.content, ceiling)


def _login(template: Template, ceiling: Ceiling) -> Refusal | None:
    names = sorted(tag[0] for tag in template.tags if len(tag) == 2)
    # Attack: a login at a relay of the attacker's, or one that carries something else along.
    if names != ["challenge", "relay"] or len(template.tags) != 2 or template.content:
        return _restricted("a login holds one relay and one challenge, nothing else")
    try:
        relay = nip42.normalise(template.tag("relay") or "")
        known = relay in {nip42.normalise(url) for url in (*ceiling.relays, *ceiling.login_relays)}
    except Malformed as error:
        return Refusal(Prefix.INVALID, str(error))
    if not known:
        return _restricted("the bot may not log in at this relay: the ceiling does not name it")
    return None


def _is_list(template: Template, wanted: tuple[Tag, ...]) -> bool:
    return bool(wanted) and not template.content and sorted(template.tags) == sorted(wanted)


def _profile(content: str) -> dict[str, Any] | None:
    """A profile's object; None where the text is none, or reads differently to two readers."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Attack: the same name twice, of which we read one and a client the other.
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a name stands twice")
        return dict(pairs)

    try:
        given = json.loads(content, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _same_profile(content: str, ceiling: Ceiling) -> bool:
    given = _profile(content)
    # As text, because to Python true equals 1.
    wanted = dict(ceiling.profile)
    return bool(wanted) and json.dumps(given, sort_keys=True) == json.dumps(wanted, sort_keys=True)


def _restricted(sentence: str) -> Refusal:
    return Refusal(Prefix.RESTRICTED, sentence)
