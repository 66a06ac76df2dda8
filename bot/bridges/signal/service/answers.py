"""Pure: the service's answers, read. What does not have the form it should have is Malformed.

Source: the service's own code, api/api.go and client/client.go; its documentation says of some
answers that they are objects where they are lists, so both are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from bot.bridges.signal.addresses import group_recipient, is_aci, is_group_id, is_number
from bot.bridges.signal.fields import Fields
from bot.bridges.signal.received.parts import EARLIEST_MS, LATEST_MS
from bot.bridges.signal.service.shapes import (
    About,
    Group,
    RateLimited,
    Rejected,
    Sent,
    ServiceError,
    Uncertain,
)
from nips.refusal import Malformed

MAX_WORD_CHARS = 200
MAX_URI_CHARS = 2_000
MAX_CAPABILITIES = 64
MAX_GROUPS, MAX_MEMBERS, MAX_CONTACTS = 2_000, 2_000, 100_000
LINK_SCHEMES = ("sgnl://linkdevice?", "tsdevice:/?")
ADDRESS = ("uuid", "number", "username")
SUCCESS, LIMIT, NETWORK = "SUCCESS", "RATE_LIMIT_FAILURE", "NETWORK_FAILURE"


def loads(text: str) -> Any:
    """JSON. Raises Malformed."""
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        raise Malformed("the answer is no JSON") from None


def about(text: str) -> About:
    """Of `/v1/about`."""
    found = Fields(loads(text), "about")
    capable = found.part("capabilities") or Fields({}, "about.capabilities")
    return About(
        mode=found.text("mode", MAX_WORD_CHARS) or "",
        version=found.text("version", MAX_WORD_CHARS) or "",
        build=found.whole("build", 0, 2**31 - 1) or 0,
        versions=tuple(found.texts("versions", 16, MAX_WORD_CHARS)),
        capabilities={
            name: tuple(capable.texts(name, MAX_CAPABILITIES, MAX_WORD_CHARS))
            for name in capable.names(MAX_CAPABILITIES)
        },
    )


def accounts(text: str) -> tuple[str, ...]:
    """Of `/v1/accounts`: the numbers."""
    found = loads(text)
    if not isinstance(found, list):
        raise Malformed("accounts are no list")
    return tuple(it for it in found if isinstance(it, str) and is_number(it))


def link_uri(text: str) -> str:
    """Of `/v1/qrcodelink/raw`."""
    uri = Fields(loads(text), "link").text("device_link_uri", MAX_URI_CHARS) or ""
    # Attack: whatever the program printed, as a code that somebody's telephone acts upon.
    if not uri.startswith(LINK_SCHEMES) or not uri.isascii() or " " in uri:
        raise Malformed("device_link_uri is no address for linking")
    return uri


def groups(text: str) -> tuple[Group, ...]:
    """Of `/v1/groups/{number}`; those whose ids nobody could send to are left out."""
    return tuple(_groups(loads(text)))


def _groups(found: Any) -> Iterator[Group]:
    for group in Fields({"groups": found}, "answer").parts("groups", MAX_GROUPS):
        internal_id = group.text("internal_id", MAX_WORD_CHARS) or ""
        if not is_group_id(internal_id):
            continue
        name = " ".join((group.text("name", MAX_WORD_CHARS) or "").split())
        members = tuple(_members(group))
        yield Group(group_recipient(internal_id), internal_id, name, members)


def _members(group: Fields) -> Iterator[str]:
    """In former versions, and where not asked otherwise, members are texts."""
    for member in group.anything("members", MAX_MEMBERS):
        known = member.values() if isinstance(member, Mapping) else [member]
        texts = [it for it in known if isinstance(it, str)]
        named = [it for it in texts if is_aci(it)] or [it for it in texts if is_number(it)]
        yield from named[:1]


def own_aci(text: str, number: str) -> str | None:
    """Of a list of contacts or identities: the ACI beside our number."""
    for entry in Fields({"list": loads(text)}, "answer").parts("list", MAX_CONTACTS):
        aci = entry.text("uuid", MAX_WORD_CHARS) or ""
        if entry.text("number", MAX_WORD_CHARS) == number and is_aci(aci):
            return aci
    return None


def sent(text: str) -> Sent:
    """Of `/v2/send`, where it was sent. Raises Malformed."""
    found = loads(text)
    answer = Fields(found[0] if isinstance(found, list) and found else found, "sent")
    timestamp = answer.text("timestamp", MAX_WORD_CHARS) or ""
    at = int(timestamp) if timestamp.isascii() and timestamp.isdigit() else 0
    if not EARLIEST_MS <= at <= LATEST_MS:
        raise Malformed("sent.timestamp is no time")
    errors = answer.part("errors")
    failed = errors.parts("recipients", MAX_MEMBERS) if errors else []
    return Sent(at, tuple(_failed(it, it, "reason") for it in failed))


def results(error: str) -> Sent | ServiceError | None:
    """What became of a message whose sending ended badly, from what was printed before: sent to
    some, to none, or None: nothing was printed of it.

    error: the text of a 400 in normal mode, where the results are a line.
    """
    for line in error.splitlines():
        if line.startswith("{") and (found := _printed(line)):
            return found
    return None


def _printed(line: str) -> Sent | ServiceError | None:
    try:
        printed = Fields(loads(line), "sent")
        at = printed.whole("timestamp", EARLIEST_MS, LATEST_MS)
        each = printed.parts("results", MAX_MEMBERS)
        types = [it.text("type", MAX_WORD_CHARS) for it in each]
        failed = [it for it, type_ in zip(each, types, strict=True) if type_ != SUCCESS]
        words = tuple(_failed(it, it.part("recipientAddress"), "type") for it in failed)
        tokens = tuple(token for it in failed if (token := it.text("token", MAX_WORD_CHARS)))
    except Malformed:
        return None
    if at is None or not each:
        return None
    if SUCCESS in types:
        return Sent(at, words)
    if set(types) == {NETWORK}:
        return Uncertain("The connection to Signal broke while the message was being sent.")
    return nobody(words, tokens)


def nobody(failed: Sequence[str], tokens: tuple[str, ...] = ()) -> Rejected:
    """The refusal of a message that nobody got. failed: "recipient: reason" of each."""
    sentence = f"Signal did not take the message ({'; '.join(failed[:3])})."
    limited = tokens or any(it.endswith(LIMIT) for it in failed)
    return RateLimited(sentence, tokens) if limited else Rejected(sentence, 400)


def _failed(entry: Fields, address: Fields | None, reason: str) -> str:
    given = (address.text(it, MAX_WORD_CHARS) for it in ADDRESS) if address else ()
    who = next((it for it in given if it), "somebody")
    reasons = entry.text(reason, MAX_WORD_CHARS) or "no reason"
    return " ".join(f"{_told_apart(who)}: {reasons}".split())


def _told_apart(who: str) -> str:
    # Attack: why a message did not go out is said in main and logged, and with it who somebody is.
    if is_aci(who):
        return f"{who[:8]}…"
    return f"+…{who[-2:]}" if is_number(who) else who
