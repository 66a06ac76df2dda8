"""NIP-01: what a filter matches, and what it does not, sentence by sentence."""

from __future__ import annotations

import pytest

from nips.event import Template
from nips.key import SecretKey
from tests.relay_suite.client import Client, Json, made, new_key, now


async def test_an_empty_filter_asks_for_all(client: Client, me: SecretKey) -> None:
    event = made(me, 1)
    await client.keep(event)
    assert event.id in await client.find({})


@pytest.mark.parametrize("name", ["ids", "authors", "kinds", "#e", "#t"])
async def test_of_no_alternatives_none_matches(client: Client, me: SecretKey, name: str) -> None:
    """NIP-01: "At least one of the arrays' values must match"."""
    await client.keep(made(me, 1, ("t", "x")))
    frame = await client.ask("REQ", "none", {name: []})
    assert frame[:2] in (["EOSE", "none"], ["CLOSED", "none"])


@pytest.mark.parametrize("length", [0, 1, 8, 63, 65])
@pytest.mark.parametrize("name", ["ids", "authors", "#e", "#p"])
async def test_a_prefix_is_no_match(client: Client, me: SecretKey, name: str, length: int) -> None:
    """NIP-01: these lists "MUST contain exact 64-character lowercase hex values"."""
    mark = new_key().public
    event = made(me, 1, ("e", mark), ("p", mark))
    await client.keep(event)
    whole = {"ids": event.id, "authors": me.public, "#e": mark, "#p": mark}[name]
    frame = await client.ask("REQ", "prefix", {name: [(whole + "0")[:length]], "kinds": [1]})
    assert frame[:2] in (["EOSE", "prefix"], ["CLOSED", "prefix"]) or frame[0] == "NOTICE"


@pytest.mark.parametrize("name", ["ids", "authors"])
async def test_upper_case_is_no_match(client: Client, me: SecretKey, name: str) -> None:
    event = made(me, 1)
    await client.keep(event)
    value = {"ids": event.id, "authors": me.public}[name].upper()
    frame = await client.ask("REQ", "upper", {name: [value]})
    assert frame[:2] in (["EOSE", "upper"], ["CLOSED", "upper"])


@pytest.mark.parametrize(
    "one",
    [
        {"since": 2**63}, {"until": 2**64}, {"limit": 2**63}, {"since": -1}, {"until": -(2**70)},
        {"limit": -1}, {"limit": 1.5}, {"since": "0"}, {"since": None}, {"until": True},
        {"kinds": [2**40]}, {"kinds": [-1]}, {"kinds": [1.0]}, {"kinds": None}, {"ids": "x"},
        {"ids": [None]}, {"ids": {}}, {"authors": [[]]}, {"#t": "x"}, {"#t": [1]}, {"search": 1},
        {"": []}, {"#": ["x"]}, {"#tt": ["x"]}, {"#é": ["x"]}, {"#1": ["x"]}, {"nonsense": True},
    ],
)  # fmt: skip
async def test_what_is_no_filter_is_answered(client: Client, me: SecretKey, one: Json) -> None:
    await client.say("REQ", "odd", one)
    while (frame := await client.hear())[:2] == ["EVENT", "odd"]:
        pass
    assert frame[:2] in (["EOSE", "odd"], ["CLOSED", "odd"]) or frame[0] == "NOTICE"
    await client.say("CLOSE", "odd")
    await client.keep(event := made(me, 1))
    assert await client.find({"ids": [event.id]}) == [event.id]


async def test_one_wrong_filter_spoils_the_req(client: Client, me: SecretKey) -> None:
    """Served in part, it would look as if the rest were not there."""
    await client.keep(event := made(me, 1))
    frame = await client.ask("REQ", "half", {"ids": [event.id]}, {"kinds": "1"})
    assert frame[0] in ("CLOSED", "NOTICE")


@pytest.mark.parametrize("at", [0, 1, 2**31 - 1])
async def test_times_are_inclusive(client: Client, me: SecretKey, at: int) -> None:
    mark = new_key().public
    event = made(me, 1, ("p", mark), at=at)
    accepted, _ = await client.ok(event)
    if not accepted:  # some relays refuse the past
        assert await client.find({"#p": [mark]}) == []
        return
    assert await client.find({"#p": [mark], "since": at, "until": at}) == [event.id]
    assert await client.find({"#p": [mark], "since": at + 1}) == []
    assert await client.find({"#p": [mark], "since": 0, "until": 2**53}) == [event.id]
    assert await client.find({"#p": [mark], "since": at + 1, "until": at}) == []


async def test_a_tags_first_value_counts_exactly(client: Client, me: SecretKey) -> None:
    a, b = new_key().public, new_key().public
    events = {
        "upper": made(me, 1, ("p", a), ("P", b)),
        "second": made(me, 1, ("p", a), ("r", "first", "second")),
        "empty": made(me, 1, ("p", a), ("r", "")),
        "bare": made(me, 1, ("p", a), ("r",)),
        "long": made(me, 1, ("p", a), ("r", "x" * 3_000)),
        "spaced": made(me, 1, ("p", a), ("r", " first")),
    }
    await client.keep(*events.values())

    async def names(one: Json) -> set[str]:
        found = await client.find({"#p": [a]} | one)
        return {name for name, event in events.items() if event.id in found}

    assert await names({}) == set(events)
    assert await names({"#P": [b]}) == {"upper"}
    assert await client.find({"#p": [b]}) == []
    assert await names({"#r": ["first"]}) == {"second"}
    assert await names({"#r": ["second"]}) == set()
    assert await names({"#r": [""]}) == {"empty"}
    assert await names({"#r": ["x" * 3_000]}) == {"long"}
    assert await names({"#r": ["x" * 2_999]}) == set()
    assert await names({"#r": [" first", "first"]}) == {"second", "spaced"}


async def test_the_limit_is_for_what_is_stored(
    client: Client, other: Client, me: SecretKey
) -> None:
    """NIP-01: `limit` "MUST be ignored afterwards"."""
    mark = new_key().public
    await client.keep(made(me, 1, ("p", mark)))
    frame = await other.ask("REQ", "one", {"#p": [mark], "limit": 1})
    assert frame[0] == "EVENT"
    assert await other.hear() == ["EOSE", "one"]
    await client.keep(*(more := [made(me, 1, ("p", mark)) for _ in range(3)]))
    assert [(await other.hear())[2]["id"] for _ in more] == [event.id for event in more]


async def test_live_events_are_filtered_like_stored_ones(
    client: Client, other: Client, me: SecretKey
) -> None:
    mark, at = new_key().public, now()
    filters: list[Json] = [
        {"#p": [mark], "kinds": [1], "since": at - 10, "until": at},
        {"#p": [mark], "kinds": [7], "authors": [me.public], "#t": ["yes"]},
    ]
    assert await other.ask("REQ", "live", *filters) == ["EOSE", "live"]
    kept = [made(me, 1, ("p", mark), at=at - 10), made(me, 7, ("p", mark), ("t", "yes"))]
    passed = [
        made(me, 1, ("p", mark), at=at - 11), made(me, 1, ("p", mark), at=at + 1),
        made(me, 7, ("p", mark), ("t", "no")), made(me, 9, ("p", mark)), made(me, 1),
    ]  # fmt: skip
    for event in (*passed, *kept):
        await client.ok(event)
    heard = [(await other.hear())[2]["id"] for _ in kept]
    assert heard == [event.id for event in kept]
    assert await other.is_silent()


async def test_an_event_two_filters_match_is_heard_once(
    client: Client, other: Client, me: SecretKey
) -> None:
    mark = new_key().public
    both: list[Json] = [{"#p": [mark]}, {"#p": [mark], "kinds": [1]}]
    assert await other.ask("REQ", "live", *both) == ["EOSE", "live"]
    await client.keep(event := made(me, 1, ("p", mark)))
    assert (await other.hear())[2]["id"] == event.id
    assert await other.is_silent()


STORED_ALL = (4_444, 9_999, 40_000, 65_535)
STORED_LATEST = (10_000, 19_999, 30_000, 38_999)
PASSED_ON = (20_000, 29_999)


@pytest.mark.parametrize("kind", [*STORED_ALL, *STORED_LATEST, *PASSED_ON])
async def test_kinds_are_kept_by_their_range(client: Client, me: SecretKey, kind: int) -> None:
    mark, at = new_key().public, now()
    first, second = (made(me, kind, ("p", mark), ("d", mark), at=at + n - 1) for n in range(2))
    await client.keep(first, second)
    found = await client.find({"#p": [mark], "kinds": [kind]})
    if kind in STORED_ALL:
        assert found == [second.id, first.id]
    else:
        assert found == ([second.id] if kind in STORED_LATEST else [])


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("kind", [10_000, 30_000])
async def test_of_one_second_the_lowest_id_stays(
    client: Client, me: SecretKey, kind: int, order: int
) -> None:
    """In whichever order they come. NIP-01: "the event with the lowest id … retained"."""
    mark = new_key()  # on a private relay nobody but its people writes: one address each time
    at, d = now() - 1_000 + order * 7 + kind % 13, mark.public
    pair = sorted((made(me, kind, ("d", d), at=at) for _ in range(2)), key=lambda e: e.id)
    for event in pair[::order]:
        await client.ok(event)
    one = {"kinds": [kind], "authors": [me.public]} | ({"#d": [d]} if kind == 30_000 else {})
    found = await client.find(one)
    assert pair[1].id not in found
    if kind == 30_000:
        assert found == [pair[0].id]


async def test_without_a_d_tag_the_address_ends_empty(client: Client, me: SecretKey) -> None:
    at = now()
    templates = [
        Template(me.public, at - 3 + n, 30_001, tags, "")
        for n, tags in enumerate([(), (("d",),), (("d", ""),), (("d", "", "more"), ("d", "x"))])
    ]
    events = [template.sign(me, bytes(32)) for template in templates]
    await client.keep(*events)
    assert await client.find({"kinds": [30_001], "authors": [me.public]}) == [events[-1].id]


async def test_an_older_version_is_not_served(client: Client, me: SecretKey) -> None:
    at, d = now(), new_key().public
    new, old = (made(me, 30_002, ("d", d), at=at - n) for n in range(2))
    await client.keep(new)
    await client.ok(old)  # some say true, some false; nobody serves it
    assert await client.find({"#d": [d]}) == [new.id]
    assert await client.find({"ids": [old.id]}) == []
