"""Search: the index against the same question asked of each content, and what it never shows."""

from __future__ import annotations

import sqlite3

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips import nip50
from nips.event import Event, Template
from nips.filter import Filter
from relay_local import query
from relay_local.access import Scope, scope_of
from relay_local.relay import RunningRelay
from relay_local.schema import SCHEMA
from relay_local.subscriptions import Subscriptions
from relay_local.transaction import Transaction
from relay_local.words import words_of
from tests.unit.relay_local.cast import (
    BRIDGE,
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OTHER_MEMBER,
    OWNER,
    ROUTER,
    SIGNER,
    STRANGER,
    WORLD,
    as_,
    event,
    put_user,
)
from tests.unit.relay_local.wire import signed, wire

EVERYTHING = Scope(everything=True)
SCRAPS = ["orange", "juice", "é", "E", "日", "本", '"', "(", ")", "*", "NEAR", "OR", "a:b", "-",
          "x_y", "\x00", "😀", "{terms}", "words", "include:spam", "'", "^", "+"]  # fmt: skip
texts = st.lists(st.sampled_from(SCRAPS) | st.text(max_size=4), max_size=6).map(" ".join)


class Shelf:
    """A database with the words of its events indexed."""

    def __init__(self, *events: Event) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(SCHEMA)
        self.transaction = Transaction(self.connection)
        for one in events:
            self.transaction.insert(one, orjson.dumps(one.to_json()), None)
        while self.transaction.index_words(2, words_of) < self.transaction.last_seq():
            pass

    def find(self, search: str, scope: Scope = EVERYTHING, **more: object) -> list[str]:
        one = Filter.from_json({"search": search, **more})
        statement = query.newest(one, scope, NOW, 10_000, one.limit or 100)
        rows = self.connection.execute(statement.sql, statement.values).fetchall()
        return [row[2].hex() for row in rows]


@settings(max_examples=150)
@given(contents=st.lists(texts, max_size=8), search=texts | st.text())
def test_the_index_agrees_with_the_naive_question(contents: list[str], search: str) -> None:
    events = [
        Template(OWNER.public, NOW + number, 1, (), content).with_sig("0" * 128)
        for number, content in enumerate(contents)
    ]
    wanted = nip50.parse(search)
    expected = {one.id for one in events if wanted.matches(one.content)}
    if wanted.is_blank:
        expected = {one.id for one in events}
    assert set(Shelf(*events).find(search)) == expected


@pytest.mark.parametrize(
    "search",
    ['"', "'", "(", "word include:spam", "* OR", "NEAR(", "{terms}: word x", "^", "a" * 10_000,
     "lorem ipsum " * 900, "\x00", "word) OR 1=1 --", "\ud7ff"],
)  # fmt: skip
def test_odd_input_is_no_syntax(search: str) -> None:
    """Text that reached the index as an expression would fail, or find what was not asked."""
    word, other = event(OWNER, 1, content="a word"), event(OWNER, 1, content="other")
    found = Shelf(word, other).find(search)
    assert found == ([word.id] if search == "word include:spam" else [])


def test_the_limit_takes_the_most_relevant() -> None:
    """NIP-50 without a date: the newest would be the wrong hundred."""
    best = event(OWNER, 1, content="orange orange", created_at=NOW - 1_000)
    long = event(OWNER, 1, content="an orange among " + "very many other words " * 20)
    assert Shelf(long, best).find("orange", limit=1) == [best.id]
    assert Shelf(long, best).find("orange") == [best.id, long.id]


def test_what_is_removed_leaves_no_words() -> None:
    """Deleted words that stayed in the index could be asked for one by one."""
    note = event(OWNER, 1, content="secret")
    shelf = Shelf(note)
    shelf.transaction.remove(note)
    assert shelf.find("secret") == []
    assert shelf.connection.execute("SELECT count(*) FROM words").fetchone() == (0,)


def test_sealed_kinds_are_not_indexed() -> None:
    assert words_of(event(OWNER, 1059, content="AbCd")) == ""
    assert words_of(event(OWNER, 30_078, content="AbCd")) == ""
    assert words_of(event(OWNER, 9, content="AbCd")) == "abcd"


def test_a_search_finds_only_what_its_viewer_may_read() -> None:
    """An agent or a member of one group must not search another's."""
    here = event(MEMBER, 9, ("h", MAIN), content="plan")
    there = event(OTHER_MEMBER, 9, ("h", OTHER), content="plan")
    shelf = Shelf(here, there)
    assert shelf.find("plan", scope_of(WORLD, as_(MEMBER))) == [here.id]
    assert shelf.find("plan", scope_of(WORLD, as_(OTHER_MEMBER))) == [there.id]
    assert shelf.find("plan", scope_of(WORLD, as_(STRANGER))) == []
    assert set(shelf.find("plan", scope_of(WORLD, as_(OWNER)))) == {here.id, there.id}


def test_a_live_search_hears_only_what_it_looks_for() -> None:
    live: Subscriptions[str] = Subscriptions()
    live.add("fruit", (Filter(search="orange"),))
    live.add("all", (Filter(search="language:en"),))
    assert set(live.recipients(event(OWNER, 1, content="Orange!"))) == {"fruit", "all"}
    assert live.recipients(event(OWNER, 1, content="apple")) == ["all"]
    assert live.recipients(event(OWNER, 1059, content="orange")) == ["all"]


async def test_a_search_finds_what_was_stored_a_moment_ago(relay: RunningRelay) -> None:
    """The index lags; an answer must not."""
    async with wire(relay.url, OWNER) as owner:
        notes = [signed(OWNER, 1, content=f"pear number {number}") for number in range(450)]
        await owner.keep(*notes)
        found = await owner.req("a", {"search": "PEAR 449"})
        assert [one["id"] for one in found] == [notes[449].id]
        assert len(await owner.req("b", {"search": "pear", "limit": 7})) == 7
        for odd in ('"', "(((", "word include:spam", "x" * 10_000):
            assert await owner.req("c", {"search": odd}) == []
        late = signed(OWNER, 1, content="one more pear")
        await owner.req("d", {"search": "more pear", "limit": 0})
        await owner.say("EVENT", late.to_json())
        heard = [await owner.hear() for _ in range(3)]
        assert ["EVENT", "d", late.to_json()] in heard


async def test_count(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        await owner.keep(*(signed(OWNER, 1, content=f"plum {number}") for number in range(12)))
        await owner.keep(signed(OWNER, 7, content="plum"))
        for filters, expected in (
            ([{"kinds": [1]}], 12),
            ([{"kinds": [1]}, {"authors": [OWNER.public]}], 13),
            ([{"kinds": [1]}, {"kinds": [1]}], 12),
            ([{"kinds": [1], "limit": 5}], 5),
            ([{"kinds": [1], "limit": 0}], 0),
            ([{"search": "plum"}], 13),
            ([{"search": "plum 3"}, {"kinds": [7]}], 2),
            ([{"kinds": [2]}], 0),
        ):
            await owner.say("COUNT", "q", *filters)
            assert await owner.hear() == ["COUNT", "q", {"count": expected}], filters


async def test_a_stranger_learns_not_even_a_count(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        await owner.keep(signed(OWNER, 1, content="secret"))
    empty = "6100000200"
    async with wire(relay.url) as nobody, wire(relay.url, STRANGER) as stranger:
        for client, prefix in ((nobody, "auth-required: "), (stranger, "restricted: ")):
            for wanted in ({}, {"kinds": [1]}, {"search": "secret"}, {"kinds": [24_133]}):
                await client.say("COUNT", "q", wanted)
                frame = await client.hear()
                assert frame[:2] == ["CLOSED", "q"]
                assert frame[2].startswith(prefix), frame
                await client.say("NEG-OPEN", "n", wanted, empty)
                frame = await client.hear()
                assert frame[:2] == ["NEG-ERR", "n"]
                assert frame[2].startswith(prefix), frame


async def test_a_member_counts_only_their_own_groups(relay: RunningRelay) -> None:
    async with wire(relay.url, ROUTER) as router, wire(relay.url, OWNER) as owner:
        for group in (MAIN, OTHER):
            await router.keep(signed(ROUTER, 9007, ("h", group)))
            await owner.keep(signed(OWNER, 9, ("h", group)))
        await router.keep(put_user(MAIN, MEMBER, "member"))
    async with wire(relay.url, MEMBER) as member:
        await member.say("COUNT", "q", {"kinds": [9]})
        assert await member.hear() == ["COUNT", "q", {"count": 1}]
        await member.say("COUNT", "q", {"#h": [OTHER]})
        assert await member.hear() == ["COUNT", "q", {"count": 0}]


async def test_wraps_are_counted_for_their_recipient_only(public: RunningRelay) -> None:
    async with wire(public.url, SIGNER) as sender:
        await sender.keep(signed(SIGNER, 1059, ("p", OWNER.public)))
    async with wire(public.url) as nobody, wire(public.url, BRIDGE) as other:
        await nobody.say("COUNT", "q", {"kinds": [1059]})
        assert (await nobody.hear())[2].startswith("auth-required: ")
        await nobody.say("COUNT", "q", {})
        assert await nobody.hear() == ["COUNT", "q", {"count": 0}]
        await other.say("COUNT", "q", {"kinds": [1059]})
        assert await other.hear() == ["COUNT", "q", {"count": 0}]
    async with wire(public.url, OWNER) as owner:
        await owner.say("COUNT", "q", {"kinds": [1059]})
        assert await owner.hear() == ["COUNT", "q", {"count": 1}]
