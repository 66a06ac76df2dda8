"""The subscriptions of one connection: from what is stored to what comes live, without a gap."""

from __future__ import annotations

import orjson
import pytest

from nips.frames import Close, encode
from nips.kinds import Kind
from relay_local import feeds
from relay_local.effects import Cut, Unlisten
from relay_local.feeds import MAX_SUBSCRIPTIONS
from tests.unit.relay_local.cast import (
    MEMBER,
    NOW,
    OTHER,
    OTHER_MEMBER,
    OWNER,
    ROUTER,
    SIGNER,
    STRANGER,
    WORLD,
    event,
)
from tests.unit.relay_local.test_connection import H, Table, frames


def test_values_are_counted_over_all_live_subscriptions() -> None:
    table = Table()

    def listen(name: str, count: int) -> bool:
        keys = [f"{name}{number}" for number in range(count)]
        return len(table.req(name, {"kinds": [24_133], "#p": keys})) == 2

    assert listen("a", 100)
    assert not listen("b", 100)
    assert listen("b", 50)
    assert listen("a", 120)  # in place of the former one
    table.hear(encode(Close("a")))
    assert listen("c", 100)


def test_stored_then_eose_then_live() -> None:
    table = Table(OWNER)
    search = table.searching("a", {"kinds": [9]})
    assert search.last == 10
    stored, during, after = (event(MEMBER, 9, H, content=c) for c in "abc")
    body = orjson.dumps(stored.to_json())
    # What arrives while the stored events are read waits for EOSE.
    assert table.live("a", during, 11) == []
    found = table.feeds.found(search, [(9, body)])
    assert [orjson.loads(one) for one in found] == [["EVENT", "a", stored.to_json()]]
    caught_up = frames(table.feeds.caught_up(search, "epoch"))
    assert caught_up == [["EOSE", "a"], ["EVENT", "a", during.to_json()]]
    assert table.live("a", after, 12) == [["EVENT", "a", after.to_json()]]
    # Numbers up to `last` were the search's to find.
    assert table.live("a", stored, 10) == []
    assert frames(table.feeds.caught_up(search, "epoch")) == []


def test_what_takes_anothers_place_meanwhile_is_not_missing_at_eose() -> None:
    table = Table(OWNER)
    said, version = event(MEMBER, 9, H), event(MEMBER, 31_923, H, ("d", "x"))
    nothing: dict[str, object] = {"limit": 0}  # of what is stored
    for asked, before, after in (({}, [version], [said]), (nothing, [], [said, version])):
        search = table.searching("a", asked)
        assert table.live("a", said, 11) == table.live("a", version, 12) == []
        assert frames(table.feeds.caught_up(search, "e")) == [
            *(["EVENT", "a", one.to_json()] for one in before),
            ["EOSE", "a"],
            *(["EVENT", "a", one.to_json()] for one in after),
        ]


def test_in_order_of_arrival_nothing_that_is_stored_is_left_out() -> None:
    table = Table(ROUTER)
    search = table.searching("a", {"after_seq": 3})
    said, typing = event(MEMBER, 9, H), event(ROUTER, Kind.TYPING, H)
    assert table.live("a", typing, None) == table.live("a", said, 11) == []
    assert frames(table.feeds.caught_up(search, "e")) == [
        ["EVENT", "a", said.to_json(), 11],
        ["EOSE", "a", {"epoch": "e", "seq": 11}],
        ["EVENT", "a", typing.to_json()],
    ]


def test_arrival_numbers_go_to_those_who_asked() -> None:
    table = Table(ROUTER)
    search = table.searching("a", {"after_seq": 3})
    assert search.ordered
    shown = event(MEMBER, 9, H)
    body = orjson.dumps(shown.to_json())
    found = table.feeds.found(search, [(4, body)])
    assert [orjson.loads(one) for one in found] == [["EVENT", "a", shown.to_json(), 4]]
    eose = frames(table.feeds.caught_up(search, "e"))
    assert eose == [["EOSE", "a", {"epoch": "e", "seq": 10}]]
    assert table.live("a", shown, 11) == [["EVENT", "a", shown.to_json(), 11]]
    typing = event(ROUTER, Kind.TYPING, H)
    assert table.live("a", typing, None) == [["EVENT", "a", typing.to_json()]]


def test_a_req_with_a_live_id_replaces_it() -> None:
    table = Table(OWNER)
    first = table.searching("a", {"kinds": [1]})
    second = table.searching("a", {"kinds": [9]})
    assert not table.feeds.is_current(first)
    assert table.feeds.found(first, [(1, b"{}")]) == []
    assert frames(table.feeds.caught_up(first, "e")) == []
    assert frames(table.feeds.failed(first, "no")) == []
    assert frames(table.feeds.caught_up(second, "e")) == [["EOSE", "a"]]


def test_a_closed_subscription_is_silent() -> None:
    table = Table(OWNER)
    search = table.searching("a", {})
    assert table.hear(encode(Close("a"))) == [Unlisten("a")]
    assert table.hear(encode(Close("a"))) == []
    assert table.live("a", event(MEMBER, 9, H), 11) == []
    assert frames(table.feeds.caught_up(search, "e")) == []


def test_a_refused_req_ends_the_one_it_replaces() -> None:
    table = Table(OWNER)
    table.searching("a", {})
    effects = table.req("a", {"after_seq": 1})
    assert effects[1:] == [Unlisten("a")]
    assert frames(effects)[0][:2] == ["CLOSED", "a"]
    table.searching("a", {})
    effects = table.req("a", {"kinds": "all"})
    assert effects[1:] == [Unlisten("a")]
    assert table.live("a", event(MEMBER, 9, H), 11) == []


def test_a_failed_search_says_so() -> None:
    table = Table(OWNER)
    search = table.searching("a", {})
    effects = table.feeds.failed(search, "the disk")
    assert frames(effects) == [["CLOSED", "a", "error: the disk"]]
    assert effects[1:] == [Unlisten("a")]


def test_live_events_are_guarded_like_stored_ones() -> None:
    table = Table(MEMBER)
    table.feeds.caught_up(table.searching("a", {}), "e")
    own, others = event(OWNER, 9, H), event(OTHER_MEMBER, 9, ("h", OTHER), ("p", MEMBER.public))
    assert len(table.live("a", own, 11)) == 1
    assert table.live("a", others, 12) == []
    assert table.live("a", event(STRANGER, 1059, ("p", OWNER.public)), 13) == []
    # Removed, the member hears nothing more on the subscription that stands.
    table.world = WORLD.after(event(ROUTER, Kind.REMOVE_USER, H, ("p", MEMBER.public)), NOW)
    assert table.live("a", own, 14) == []


def test_requests_are_heard_by_who_listens_for_that_key() -> None:
    table = Table()
    search = table.searching("a", {"kinds": [24_133], "#p": [STRANGER.public]})
    assert search.scope.is_empty
    table.feeds.caught_up(search, "e")
    mine = event(SIGNER, 24_133, ("p", STRANGER.public))
    assert len(table.live("a", mine, None)) == 1
    assert table.live("a", event(SIGNER, 24_133, ("p", MEMBER.public)), None) == []
    assert table.live("a", event(MEMBER, 9, H), 11) == []
    # A broad subscription of a member's does not overhear what the parts say to each other.
    member = Table(MEMBER)
    member.feeds.caught_up(member.searching("a", {}), "e")
    assert member.live("a", mine, None) == []


def test_too_much_held_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_HELD_BYTES", 1_000)
    table = Table(OWNER)
    table.searching("a", {})
    shown = event(MEMBER, 9, H, content="x" * 400)
    body = orjson.dumps(shown.to_json())
    assert table.machine.live("a", shown, body, 11, WORLD) == []
    (cut,) = table.machine.live("a", shown, body, 12, WORLD)
    assert isinstance(cut, Cut)


def test_so_many_subscriptions_and_no_more() -> None:
    table = Table(OWNER)
    for number in range(MAX_SUBSCRIPTIONS):
        table.searching(str(number), {})
    (closed,) = frames(table.req("one more", {}))
    assert str(closed[2]).startswith("rate-limited: ")
    table.searching("0", {"kinds": [1]})
    table.hear(encode(Close("1")))
    table.searching("one more", {})


@pytest.mark.parametrize("name", ["a", "x" * 64, '"\\\n\u2028é\U0001f600', "\x00", "[]"])
def test_subscription_ids_come_back_as_they_were(name: str) -> None:
    table = Table(OWNER)
    search = table.searching(name, {})
    shown = event(MEMBER, 9, H)
    body = orjson.dumps(shown.to_json())
    found = table.feeds.found(search, [(1, body)])
    assert [orjson.loads(one) for one in found] == [["EVENT", name, shown.to_json()]]
    assert frames(table.feeds.caught_up(search, "e")) == [["EOSE", name]]
