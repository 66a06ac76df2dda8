"""A person is forgotten: what goes, what stays, and that it does not come back."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from nips.event import Event, Template
from nips.key import SecretKey
from nips.nip62 import VANISH
from relay_local.relay import DATABASE, RelaySettings, RunningRelay
from relay_local.vanishing import _PAGE
from tests.unit.relay_local.cast import (
    BOT,
    MAIN,
    MEMBER,
    OWNER,
    ROUTER,
    SIGNER,
    STRANGER,
    key_of,
    put_user,
)
from tests.unit.relay_local.wire import Wire, now, signed, wire

H = ("h", MAIN)
ALL = ("relay", "ALL_RELAYS")


def at(author: SecretKey, kind: int, created_at: int, *tags: tuple[str, ...]) -> Event:
    return Template(author.public, created_at, kind, tags, "some words").sign(author, bytes(32))


async def refused(client: Wire, new: Event, prefix: str) -> None:
    accepted, message = await client.put(new)
    assert not accepted
    assert message.startswith(prefix), message


async def test_a_member_is_forgotten(relay: RunningRelay, settings: RelaySettings) -> None:
    async with wire(relay.url, ROUTER) as router, wire(relay.url, MEMBER) as member:
        await router.keep(
            signed(ROUTER, 9007, H), put_user(MAIN, MEMBER, "admin"), put_user(MAIN, OWNER, "owner")
        )
        said = [at(MEMBER, 9, now() - number, H) for number in range(_PAGE + 5)]
        moderated = at(MEMBER, 9002, now(), H, ("name", "Ours"))
        await member.keep(*said, at(MEMBER, 0, now()), at(MEMBER, 5, now(), ("e", "0" * 64)))
        await member.keep(moderated)
        others = signed(ROUTER, 9, H, content="some words")
        await router.keep(others)
        await member.keep(signed(MEMBER, VANISH, ALL))
        # Nothing that they wrote is served, searched or counted, but the request.
        mine = await router.req("a", {"authors": [MEMBER.public]})
        assert [event["kind"] for event in mine] == [VANISH]
        found = await router.req("b", {"search": "some words"})
        assert [event["id"] for event in found] == [others.id]
        # What they changed in the group stays changed, without their words.
        state = await router.req("c", {"kinds": [39_000], "#d": [MAIN]})
        assert ["name", "Ours"] in state[0]["tags"]
        for name in ("a", "b", "c"):
            await router.say("CLOSE", name)
        # Nothing comes back, by themselves or by the owner; deleting the request is no way.
        await refused(member, said[0], "blocked: ")
        await refused(member, at(MEMBER, 9, now() - 80_000, H), "blocked: ")
        await member.keep(at(MEMBER, 5, now() + 60, ("e", mine[0]["id"])))
        assert len(await router.req("d", {"kinds": [VANISH]})) == 1
        await refused(member, said[1], "blocked: ")
    rest = whole_database(settings.data / DATABASE)
    assert rest.count("some words") == 2  # the router's, and the deletion from afterwards


def whole_database(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return "\n".join(str(row) for row in connection.execute("SELECT json FROM events"))


async def test_who_came_and_went_is_forgotten_too(relay: RunningRelay) -> None:
    """NIP-62: relays "MUST also follow the request to vanish regardless of the user's status"."""
    async with wire(relay.url, ROUTER) as router, wire(relay.url, MEMBER) as member:
        await router.keep(signed(ROUTER, 9007, H), put_user(MAIN, MEMBER, "member"))
        await member.keep(at(MEMBER, 9, now(), H))
        await router.keep(signed(ROUTER, 9001, H, ("p", MEMBER.public)))
        await member.keep(signed(MEMBER, VANISH, ("relay", relay.url)))
        assert await router.req("a", {"kinds": [9]}) == []


async def test_whose_request_is_refused(relay: RunningRelay) -> None:
    """An agent that empties the bot's memory, a stranger who fills the disk, somebody else's
    request, and one that is for another relay."""
    async with wire(relay.url, SIGNER) as signer, wire(relay.url, STRANGER) as stranger:
        await refused(signer, signed(BOT, VANISH, ALL), "restricted: ")
        await refused(stranger, signed(STRANGER, VANISH, ALL), "restricted: ")
        await refused(stranger, signed(OWNER, VANISH, ALL), "restricted: ")
    async with wire(relay.url, OWNER) as owner:
        await refused(owner, signed(OWNER, VANISH, ("relay", "wss://other.example")), "invalid: ")
        await refused(owner, signed(OWNER, VANISH), "invalid: ")


async def test_wraps_to_them_go(public: RunningRelay) -> None:
    sender, friend = key_of("sender"), key_of("friend")
    async with wire(public.url, STRANGER, friend) as client:
        wraps = [signed(sender, 1059, ("p", key.public)) for key in (STRANGER, friend)]
        later = at(STRANGER, 1, now() + 60)
        await client.keep(*wraps, signed(STRANGER, 1), later)
        await client.keep(signed(STRANGER, VANISH, ALL))
        left = await client.req("a", {"kinds": [1, 1059]})
        assert {event["id"] for event in left} == {wraps[1].id, later.id}


async def test_a_repost_does_not_carry_a_protected_event(public: RunningRelay) -> None:
    for kind in (6, 16):
        async with wire(public.url, STRANGER) as client:
            guarded = signed(OWNER, 1, ("-",), content="for here only").to_json()
            free = signed(OWNER, 1, content="for all").to_json()
            await refused(client, signed(STRANGER, kind, content=json.dumps(guarded)), "blocked: ")
            for content in (json.dumps(free), "", "no JSON", "[" * 5_000, "[]", '{"tags":7}'):
                await client.keep(signed(STRANGER, kind, content=content))
