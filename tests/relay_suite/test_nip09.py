"""NIP-09 from outside, beyond the plain cases: whose, by what name, and before it came."""

from __future__ import annotations

import pytest

from nips.key import SecretKey
from tests.relay_suite.client import Client, dial, made, new_key, now
from tests.relay_suite.conftest import Target


async def test_nobody_deletes_what_is_anothers(target: Target, client: Client) -> None:
    """By id and by address; the request itself may be kept."""
    d = new_key().public
    theirs, listed = made(target.member, 1), made(target.member, 30_003, ("d", d))
    await client.keep(theirs, listed)
    stranger = new_key()
    async with dial(target.url, stranger) as other:
        place = f"30003:{target.member.public}:{d}"
        await other.ok(made(stranger, 5, ("e", theirs.id), ("a", place), ("k", "1")))
    assert set(await client.find({"ids": [theirs.id, listed.id]})) == {theirs.id, listed.id}


async def test_a_request_that_comes_first_counts(client: Client, me: SecretKey) -> None:
    late = made(me, 1)
    await client.keep(made(me, 5, ("e", late.id), ("k", "1")))
    assert not (await client.ok(late))[0]
    assert await client.find({"ids": [late.id]}) == []


async def test_a_request_goes_on_being_served(client: Client, me: SecretKey) -> None:
    """NIP-09: "Relays SHOULD continue to publish/share the deletion request events"."""
    note = made(me, 1)
    request = made(me, 5, ("e", note.id), ("k", "1"), content="by accident")
    await client.keep(note, request)
    assert await client.find({"kinds": [5], "#e": [note.id]}) == [request.id]
    accepted, message = await client.ok(request)
    assert accepted
    assert message.startswith("duplicate:")


@pytest.mark.parametrize("kind", [0, 10_001])
async def test_a_replaceable_event_by_its_address(client: Client, me: SecretKey, kind: int) -> None:
    at = now() + 60  # newer than what other cases left there
    event = made(me, kind, at=at)
    await client.ok(event)
    stored = await client.find({"kinds": [kind], "authors": [me.public]})
    assert stored == [event.id]
    await client.keep(made(me, 5, ("a", f"{kind}:{me.public}:"), ("k", str(kind)), at=at))
    assert await client.find({"kinds": [kind], "authors": [me.public]}) == []


@pytest.mark.parametrize(
    "tag",
    [("e",), ("e", ""), ("e", "x"), ("e", "AB" * 32), ("a",), ("a", ""), ("a", "1"), ("a", "1:2"),
     ("a", "x:y:z"), ("a", "99999999999999999999:" + "0" * 64 + ":"), ("k", "1")],
)  # fmt: skip
async def test_a_request_that_names_nothing_harms_nothing(
    client: Client, me: SecretKey, tag: tuple[str, ...]
) -> None:
    note = made(me, 1)
    await client.keep(note)
    await client.ok(made(me, 5, tag))
    assert await client.find({"ids": [note.id]}) == [note.id]


async def test_one_request_for_many(client: Client, me: SecretKey) -> None:
    notes = [made(me, 1) for _ in range(30)]
    await client.keep(*notes)
    tags = [("e", note.id, "wss://relay.example") for note in notes[:20]]
    await client.keep(made(me, 5, *tags, ("k", "1")))
    found = await client.find({"ids": [note.id for note in notes]})
    assert set(found) == {note.id for note in notes[20:]}
