"""NIP-45, 50 and 77 from outside: counting, searching, reconciling."""

from __future__ import annotations

import asyncio

import pytest

from nips.key import SecretKey
from tests.relay_suite.client import WAIT_S, Client, made, new_key

ALL_OF_MINE = "6100000200"  # negentropy v1: one range, everything, of which the asker has nothing


async def test_a_count(client: Client, me: SecretKey) -> None:
    mark = new_key().public
    await client.keep(*(made(me, kind, ("p", mark)) for kind in (1, 1, 7)))
    for filters, count in (
        (({"#p": [mark]},), 3),
        (({"#p": [mark], "kinds": [1]},), 2),
        # NIP-45: several filters "are OR'd together and aggregated into a single count"
        (({"#p": [mark], "kinds": [1]}, {"#p": [mark], "kinds": [7]}), 3),
        (({"#p": [mark]}, {"#p": [mark], "kinds": [7]}), 3),
        (({"#p": [new_key().public]},), 0),
        (({"#p": [mark], "kinds": []},), 0),
    ):
        frame = await client.ask("COUNT", 'q"', *filters)
        assert frame[:2] == ["COUNT", 'q"']
        assert frame[2]["count"] == count, filters


async def test_a_count_is_no_subscription(client: Client, other: Client, me: SecretKey) -> None:
    mark = new_key().public
    assert (await other.ask("COUNT", "a", {"#p": [mark]}))[2]["count"] == 0
    await client.keep(made(me, 1, ("p", mark)))
    assert await other.is_silent()


async def test_a_count_that_cannot_be_is_closed(client: Client) -> None:
    frame = await client.ask("COUNT", "bad", {"kinds": ["1"]})
    assert frame[:2] == ["CLOSED", "bad"]


async def test_a_search(client: Client, me: SecretKey) -> None:
    mark = new_key().public
    words = "Crème brûlée, at 7 o'clock"
    one, two = made(me, 1, ("p", mark), content=words), made(me, 1, ("p", mark), content="else")
    await client.keep(one, two)
    for search, found in (
        ("brûlée", {one.id}), ("BRULEE creme", {one.id}), ("else", {two.id}),
        ("brulee else", set()),
        ("", {one.id, two.id}), ("brulee language:en", {one.id}), ("include:spam else", {two.id}),
    ):  # fmt: skip
        assert set(await client.find({"#p": [mark], "search": search})) == found, search


@pytest.mark.parametrize(
    "search",
    ['"', "'", '""', '"half', "(", "*", "a*", "NEAR(a b)", "a OR b", "NOT", "-a", "a:b", "col:",
     "word include:spam", "^", "\\", "%", "{}", "\x00", "a\x00b", "🦩", "x" * 5_000, " ", ";--",
     "AND AND AND", "terms:x", "+", "include:"],
)  # fmt: skip
async def test_no_search_is_syntax(client: Client, me: SecretKey, search: str) -> None:
    """Each of these broke a relay whose index has a language of its own."""
    await client.say("REQ", "s", {"search": search, "authors": [new_key().public]})
    assert (await client.hear())[:2] == ["EOSE", "s"]
    await client.keep(made(me, 1))


async def test_a_search_goes_on_live(client: Client, other: Client, me: SecretKey) -> None:
    mark = new_key().public
    assert await other.ask("REQ", "s", {"search": "flamingo", "#p": [mark]}) == ["EOSE", "s"]
    await client.keep(made(me, 1, ("p", mark), content="a heron"))
    await client.keep(bird := made(me, 1, ("p", mark), content="The Flamingo!"))
    assert (await other.hear())[2]["id"] == bird.id


async def test_what_is_lacking_is_named(client: Client, me: SecretKey) -> None:
    mark = new_key().public
    events = [made(me, 1, ("p", mark)) for _ in range(5)]
    await client.keep(*events)
    frame = await client.ask("NEG-OPEN", "n", {"#p": [mark]}, ALL_OF_MINE)
    assert frame[:2] == ["NEG-MSG", "n"]
    assert all(event.id in frame[2] for event in events)
    await client.say("NEG-CLOSE", "n")
    frame = await client.ask("NEG-MSG", "n", ALL_OF_MINE)
    assert frame[:2] == ["NEG-ERR", "n"]
    assert frame[2].startswith("closed:")


async def test_the_same_name_opens_anew(client: Client, me: SecretKey) -> None:
    mark = new_key().public
    await client.keep(event := made(me, 1, ("p", mark)))
    await client.ask("NEG-OPEN", "n", {"ids": ["0" * 64]}, ALL_OF_MINE)
    frame = await client.ask("NEG-OPEN", "n", {"#p": [mark]}, ALL_OF_MINE)
    assert event.id in frame[2]


@pytest.mark.parametrize("message", ["", "61", "zz", "6", "62000002", "61" + "ff" * 40, "00"])
async def test_a_message_that_is_none(client: Client, me: SecretKey, message: str) -> None:
    await client.say("NEG-OPEN", "n", {"ids": ["0" * 64]}, message)
    async with asyncio.timeout(WAIT_S):
        frame = await client.hear()
    # NIP-77: a relay answers an unknown version with the one it speaks.
    assert frame[0] in ("NEG-ERR", "NOTICE") or frame[:3] == ["NEG-MSG", "n", "61"]
    await client.keep(made(me, 1))
