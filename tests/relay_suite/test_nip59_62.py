"""NIP-59 and 62 from outside: mail that is its recipient's, and people who are forgotten."""

from __future__ import annotations

import pytest

from tests.relay_suite.client import Client, dial, made, new_key, now
from tests.relay_suite.conftest import Target


async def test_a_wrap_is_shown_to_its_recipient_only(target: Target, client: Client) -> None:
    """Not by id, not live, not as a number, not in a reconciliation."""
    stranger, ephemeral = new_key(), new_key()
    async with dial(target.url, stranger) as other:
        by_id = await other.ask("REQ", "live", {"kinds": [1059], "limit": 0})
        wrap = made(ephemeral, 1059, ("p", target.member.public), content="sealed")
        await client.keep(wrap)
        assert await client.find({"ids": [wrap.id]}) == [wrap.id]
        assert await client.find({"kinds": [1059], "#p": [target.member.public]}) != []
        for one in ({"ids": [wrap.id]}, {"authors": [ephemeral.public]}):
            frame = await other.ask("REQ", "a", one)
            assert frame[0] in ("EOSE", "CLOSED")
            frame = await other.ask("COUNT", "a", one)
            assert frame[0] == "CLOSED" or frame[2]["count"] == 0
            frame = await other.ask("NEG-OPEN", "a", one, "6100000200")
            assert frame[0] == "NEG-ERR" or wrap.id not in frame[2]
        assert by_id[0] in ("EOSE", "CLOSED")
        assert await other.is_silent()


async def test_its_recipient_may_delete_it_and_nobody_else(target: Target, client: Client) -> None:
    wraps = [made(new_key(), 1059, ("p", target.member.public)) for _ in range(2)]
    await client.keep(*wraps)
    stranger = new_key()
    async with dial(target.url, stranger) as other:
        await other.ok(made(stranger, 5, ("e", wraps[0].id), ("k", "1059")))
    assert set(await client.find({"ids": [wrap.id for wrap in wraps]})) == {w.id for w in wraps}
    # NIP-09: "The `k` tag MUST be `1059`"
    await client.ok(made(target.member, 5, ("e", wraps[0].id), ("k", "1")))
    assert await client.find({"ids": [wraps[0].id]}) == [wraps[0].id]
    await client.keep(made(target.member, 5, ("e", wraps[1].id), ("k", "1059")))
    assert await client.find({"ids": [wraps[1].id]}) == []
    assert not (await client.ok(wraps[1]))[0]


async def test_a_wrap_may_be_from_two_days_ago(target: Target, client: Client) -> None:
    wrap = made(new_key(), 1059, ("p", target.member.public), at=now() - 2 * 86_400)
    await client.keep(wrap)
    assert await client.find({"ids": [wrap.id]}) == [wrap.id]


@pytest.mark.parametrize("names", ["this relay", "ALL_RELAYS"])
async def test_who_asks_to_be_forgotten_is(client_of_open: Client, names: str) -> None:
    client = client_of_open
    person, at = new_key(), now()
    note, deleted = made(person, 1, at=at - 50), made(person, 1, at=at - 50)
    deletion = made(person, 5, ("e", deleted.id), at=at - 40)
    later, others = made(person, 1, at=at + 5), made(new_key(), 1, ("p", person.public))
    wrap = made(new_key(), 1059, ("p", person.public), at=at - 30)
    await client.keep(note, deleted, deletion, later, others, wrap)
    relay = client.url if names == "this relay" else names
    request = made(person, 62, ("relay", relay), at=at)
    await client.keep(request)
    found = await client.find({"authors": [person.public]}, {"ids": [others.id]})
    assert set(found) - {request.id} == {later.id, others.id}
    # NIP-62: "ensure past events are not re-broadcasted into the relay"
    for event in (note, deleted, made(person, 1, at=at - 1)):
        assert not (await client.ok(event))[0]
    await client.keep(made(person, 1, at=at + 1))
    await client.ok(made(person, 5, ("e", request.id), ("k", "62"), at=at + 2))
    assert not (await client.ok(note))[0]


ELSEWHERE = [(), (("relay", "wss://relay.example"),), (("relay", "all_relays"),)]


@pytest.mark.parametrize("tags", ELSEWHERE)
async def test_a_request_for_another_relay_is_not_ours(
    client_of_open: Client, tags: tuple[tuple[str, str], ...]
) -> None:
    person = new_key()
    note = made(person, 1)
    await client_of_open.keep(note)
    accepted, _ = await client_of_open.ok(made(person, 62, *tags, at=now() + 1))
    assert not accepted
    assert await client_of_open.find({"ids": [note.id]}) == [note.id]
