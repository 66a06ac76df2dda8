"""NIP-29 from outside: a group from its making to its end, as any client sees it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from nips.event import Event
from nips.key import SecretKey
from tests.relay_suite.client import Client, Json, dial, made, new_key, now
from tests.relay_suite.conftest import Target
from tests.relay_suite.document import document_of

STATE = (39_000, 39_001, 39_002, 39_003)


class Group:
    """A group of the owner's, with one member."""

    def __init__(self, owner: Client, key: SecretKey, name: str, member: SecretKey) -> None:
        self.owner, self.key, self.name, self.member = owner, key, name, member

    @property
    def h(self) -> tuple[str, str]:
        return ("h", self.name)

    async def change(self, kind: int, *tags: tuple[str, ...]) -> Event:
        event = made(self.key, kind, self.h, *tags)
        await self.owner.keep(event)
        return event

    async def state(self, kind: int, asker: Client | None = None) -> Json | None:
        client = asker or self.owner
        await client.say("REQ", "state", {"kinds": [kind], "#d": [self.name]})
        found = None
        while (frame := await client.hear())[0] == "EVENT":
            assert found is None, "a single instance of each"
            found = frame[2]
        assert frame[0] == "EOSE", frame
        await client.say("CLOSE", "state")
        return found


@pytest.fixture
async def owner(house: Target) -> AsyncIterator[Client]:
    async with dial(house.url, house.member) as client:
        yield client


@pytest.fixture
async def group(house: Target, owner: Client) -> AsyncIterator[Group]:
    made_ = Group(owner, house.member, f"pizza_{secrets.token_hex(4)}-X", new_key())
    await made_.change(9007)
    await made_.change(9002, ("name", "Pizza Lovers"), ("about", "Pizza"), ("private",))
    await made_.change(9000, ("p", made_.member.public))
    yield made_
    async with dial(house.url, house.member) as again:  # others look at the house from outside
        await again.ok(made(house.member, 9008, made_.h))


async def test_the_relay_describes_the_group(house: Target, group: Group) -> None:
    """NIP-29: "They MUST be created by the relay master key only (as stated by … "self")"."""
    own = (await document_of(house.url))["self"]
    for kind in STATE:
        event = await group.state(kind)
        assert event is not None
        assert event["pubkey"] == own
        Event.from_json(event).verify()
        assert ["d", group.name] in event["tags"]
    metadata, admins, members = [await group.state(kind) for kind in STATE[:3]]
    assert metadata
    assert admins
    assert members
    assert ["name", "Pizza Lovers"] in metadata["tags"]
    assert ["private"] in metadata["tags"]
    assert [tag[1] for tag in admins["tags"] if tag[0] == "p"] == [house.member.public]
    people = {tag[1] for tag in members["tags"] if tag[0] == "p"}
    assert people == {house.member.public, group.member.public}


async def test_nobody_else_describes_it(house: Target, group: Group) -> None:
    for kind in (*STATE, 39_004, 13_534, 8_000):
        forged = made(house.member, kind, ("d", group.name), ("name", "Mine"))
        assert not (await group.owner.ok(forged))[0]


async def test_members_talk_and_strangers_hear_nothing(house: Target, group: Group) -> None:
    stranger = new_key()
    async with dial(house.url, group.member) as member, dial(house.url, stranger) as other:
        assert await member.ask("REQ", "live", {"#h": [group.name], "kinds": [9]}) == [
            "EOSE", "live",
        ]  # fmt: skip
        assert (await other.ask("REQ", "live", {"#h": [group.name]}))[0] in ("CLOSED", "EOSE")
        hello = made(house.member, 9, group.h, content="hello")
        await group.owner.keep(hello)
        assert (await member.hear())[2]["id"] == hello.id
        answer = made(group.member, 9, group.h, ("previous", hello.id[:8]), content="hi")
        accepted, message = await member.ok(answer)
        assert accepted, message
        assert await other.is_silent()
        accepted, message = await other.ok(made(stranger, 9, group.h))
        assert not accepted
        assert message.startswith("restricted: ")


async def test_a_message_out_of_context_is_refused(house: Target, group: Group) -> None:
    """NIP-29: "reject any events that contain timeline references to events not found"."""
    other = Group(group.owner, house.member, f"fork{secrets.token_hex(4)}", new_key())
    await other.change(9007)
    there = made(house.member, 9, other.h)
    await group.owner.keep(there)
    for prefix in ("0" * 8, there.id[:8], there.id, "zz", ""):
        event = made(house.member, 9, group.h, ("previous", prefix))
        assert not (await group.owner.ok(event))[0], prefix


async def test_a_message_of_another_day_is_refused(house: Target, group: Group) -> None:
    async with dial(house.url, group.member) as member:
        assert not (await member.ok(made(group.member, 9, group.h, at=now() - 200_000)))[0]


async def test_members_do_not_moderate(house: Target, group: Group) -> None:
    friend = new_key()
    async with dial(house.url, group.member) as member:
        for kind, tags in (
            (9000, (("p", friend.public),)), (9000, (("p", group.member.public, "admin"),)),
            (9001, (("p", house.member.public),)), (9002, (("name", "Mine"), ("public",))),
            (9005, (("e", "0" * 64),)), (9008, ()), (9009, (("code", "for my friends"),)),
            (9007, ()),
        ):  # fmt: skip
            accepted, message = await member.ok(made(group.member, kind, group.h, *tags))
            assert not accepted, kind
            assert message.split(":")[0] in ("restricted", "blocked", "invalid")
    metadata = await group.state(39_000)
    assert metadata
    assert ["name", "Pizza Lovers"] in metadata["tags"]


async def test_an_invitation_lets_in_one(house: Target, group: Group) -> None:
    guest, second = new_key(), new_key()
    await group.change(9009, ("code", "come in, please"))
    async with dial(house.url, guest) as client, dial(house.url, second) as other:
        wrong = made(guest, 9021, group.h, ("code", "let me in at once"))
        assert not (await client.ok(wrong))[0]
        assert not (await client.ok(made(guest, 9021, group.h)))[0]
        await client.keep(made(guest, 9021, group.h, ("code", "come in, please")))
        # NIP-29: "If a user is already a member, the event MUST be rejected with `duplicate: `"
        accepted, message = await client.ok(made(guest, 9021, group.h))
        assert not accepted
        assert message.startswith("duplicate: ")
        assert not (await other.ok(made(second, 9021, group.h, ("code", "come in, please"))))[0]
        await client.keep(made(guest, 9, group.h))
        found = await client.find({"kinds": [9000, 9001], "#p": [guest.public]})
        assert len(found) == 1
        # "The relay will automatically issue a `kind:9001` in response"
        await client.keep(made(guest, 9022, group.h))
        assert not (await client.ok(made(guest, 9, group.h)))[0]
    members = await group.state(39_002)
    assert members
    assert guest.public not in [tag[1] for tag in members["tags"]]


async def test_an_open_group_lets_anybody_in(house: Target, group: Group) -> None:
    await group.change(9002, ("name", "Open"), ("public",), ("open",), ("visible",))
    guest = new_key()
    async with dial(house.url, guest) as client:
        metadata = await group.state(39_000, client)
        assert metadata
        assert {"private", "closed", "hidden"}.isdisjoint(tag[0] for tag in metadata["tags"])
        await group.owner.keep(said := made(house.member, 9, group.h))
        assert await client.find({"kinds": [9], "#h": [group.name]}) == [said.id]
        assert not (await client.ok(made(guest, 9, group.h)))[0]  # restricted still
        await client.keep(made(guest, 9021, group.h), made(guest, 9, group.h))


async def test_what_a_moderator_takes_away_is_gone(house: Target, group: Group) -> None:
    async with dial(house.url, group.member) as member:
        said = made(group.member, 9, group.h)
        await member.keep(said)
        await group.change(9005, ("e", said.id))
        assert await member.find({"ids": [said.id]}) == []
        assert not (await member.ok(said))[0]
        await group.change(9001, ("p", group.member.public))
        assert not (await member.ok(made(group.member, 9, group.h)))[0]
        frame = await member.ask("REQ", "a", {"kinds": [9], "#h": [group.name]})
        assert frame[0] in ("CLOSED", "EOSE")


async def test_roles_are_changed_by_putting_again(house: Target, group: Group) -> None:
    await group.change(9000, ("p", group.member.public, "admin"))
    admins = await group.state(39_001)
    assert admins
    assert ["p", group.member.public, "admin"] in admins["tags"]
    friend = new_key()
    async with dial(house.url, group.member) as member:
        await member.keep(made(group.member, 9000, group.h, ("p", friend.public)))
    members = await group.state(39_002)
    assert members
    assert friend.public in [tag[1] for tag in members["tags"]]


async def test_the_end_of_a_group(house: Target, group: Group) -> None:
    await group.change(9008)
    for kind in STATE:
        assert await group.state(kind) is None
    assert not (await group.owner.ok(made(house.member, 9, group.h)))[0]
    assert not (await group.owner.ok(made(house.member, 9007, group.h)))[0]


async def test_the_roster_lists_who_is_a_member(house: Target, group: Group) -> None:
    """NIP-43: 13534 by the relay's own key, protected, a `member` tag for each."""
    own = (await document_of(house.url))["self"]
    await group.owner.say("REQ", "r", {"kinds": [13_534], "authors": [own]})
    roster = (await group.owner.hear())[2]
    assert ["-"] in roster["tags"]
    assert ["member", group.member.public] in roster["tags"]
