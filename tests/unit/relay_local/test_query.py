"""The SQL against the naive oracle: `Filter.matches` and `Scope.admits` over all events."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind, Storage, storage
from relay_local.access import Scope, scope_of
from relay_local.query import condition_of, in_order_of_arrival, newest, tag_key
from relay_local.schema import SCHEMA
from relay_local.transaction import Transaction
from relay_local.viewer import Viewer
from relay_local.world import World
from tests.figures import figure
from tests.unit.relay_local.cast import (
    BOT,
    BRIDGE,
    CHAT,
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OTHER_MEMBER,
    OWNER,
    PUPPET,
    RELAY,
    ROUTER,
    SESSION,
    SIGNAL,
    SIGNER,
    STRANGER,
    WORLD,
    as_,
    inside,
)
from tests.unit.relay_local.cast import event as made

OPENED = WORLD.after(
    made(ROUTER, Kind.EDIT_METADATA, ("h", OTHER), ("public",), ("visible",)), NOW
).after(made(ROUTER, Kind.REMOVE_USER, ("h", OTHER), ("p", OTHER_MEMBER.public)), NOW)
PEOPLE = [
    key.public for key in (OWNER, ROUTER, BOT, MEMBER, PUPPET, SESSION, STRANGER, RELAY, SIGNAL)
]
KINDS = [
    0,
    1,
    5,
    9,
    1059,
    10_050,
    24_200,
    30_078,
    31_923,
    39_000,
    39_002,
    43_001,
    44_100,
    44_200,
    9009,
    9021,
]
TEXTS = ["", "a", "A", MAIN, "é\n\x00'\"%_", "x" * 64, "x" * 65, "y" * 300, *PEOPLE[:2]]
TIMES = [0, NOW - 1, NOW, NOW + 1, 2**63 - 1]

values = st.sampled_from([*TEXTS, *PEOPLE, MAIN, OTHER, "grant/x", "signal/x", f"group/{MAIN}"])
letters = st.sampled_from(["p", "e", "h", "d", "t", "T", "o"])
tags = st.lists(
    st.one_of(
        st.tuples(letters, values),
        st.tuples(letters, values, values),
        st.tuples(st.sampled_from(["p", "h", "long", "-"])),
        st.tuples(st.just("alt"), values),
    ),
    max_size=5,
)
templates = st.builds(
    Template,
    st.sampled_from(PEOPLE),
    st.sampled_from(TIMES),
    st.sampled_from(KINDS),
    tags.map(tuple),
    st.sampled_from(["", "x"]),
)


def subsets(values: list[str]) -> st.SearchStrategy[frozenset[str] | None]:
    return st.none() | st.frozensets(st.sampled_from(values), max_size=4)


@st.composite
def filters(draw: st.DrawFn, events: list[Event]) -> Filter:
    ids = [event.id for event in events] + ["0" * 64]
    return Filter(
        ids=draw(st.none() | st.frozensets(st.sampled_from(ids), max_size=4)),
        authors=draw(subsets(PEOPLE)),
        kinds=draw(st.none() | st.frozensets(st.sampled_from(KINDS), max_size=4)),
        tags=draw(st.dictionaries(letters, st.frozensets(values, max_size=4), max_size=2)),
        since=draw(st.none() | st.sampled_from(TIMES)),
        until=draw(st.none() | st.sampled_from(TIMES)),
    )


viewers = st.sampled_from(
    [Viewer(), as_(STRANGER), as_(OWNER), as_(ROUTER), as_(SIGNER), as_(BRIDGE, PUPPET), as_(CHAT),
     as_(SIGNAL), as_(MEMBER), as_(MEMBER, OTHER_MEMBER), inside(SESSION)]
)  # fmt: skip
scopes = st.one_of(
    viewers.map(lambda viewer: scope_of(WORLD, viewer)),
    viewers.map(lambda viewer: scope_of(OPENED, viewer)),
    viewers.map(lambda viewer: scope_of(World(RELAY.public, public=True), viewer)),
    st.builds(
        Scope,
        *[st.booleans()] * 2,
        st.frozensets(st.sampled_from([MAIN, OTHER]), max_size=2),
        *[st.booleans()] * 4,
        st.frozensets(st.sampled_from(PEOPLE), max_size=3),
        st.frozensets(st.sampled_from([MAIN, OTHER]), max_size=2),
        st.frozensets(st.sampled_from([MAIN, OTHER]), max_size=2),
        *[st.frozensets(st.sampled_from(PEOPLE), max_size=3)] * 2,
    ),
)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    yield connection
    connection.close()


def fill(connection: sqlite3.Connection, drawn: list[Template]) -> dict[int, Event]:
    """Store the events as they are, unsigned and unjudged, one per id and address."""
    connection.execute("ROLLBACK") if connection.in_transaction else None
    connection.execute("BEGIN")
    for table in ("events", "tags"):
        connection.execute(f"DELETE FROM {table}")
    transaction = Transaction(connection)
    stored: dict[int, Event] = {}
    places: set[object] = set()
    for template in drawn:
        event = template.with_sig("0" * 128)
        place: object = event.id
        if storage(event.kind) is not Storage.REGULAR:
            addressable = storage(event.kind) is Storage.ADDRESSABLE
            place = (event.pubkey, event.kind, event.tag("d") or "" if addressable else "")
        if place in places or event.id in {one.id for one in stored.values()}:
            continue
        places.add(place)
        stored[transaction.insert(event, b"{}", None)] = event
    transaction.write_out()
    return stored


def found(connection: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> list[int]:
    return [row[0] for row in connection.execute(sql, values)]


def opened(connection: sqlite3.Connection, drawn: list[Template], scope: Scope) -> list[Event]:
    """What a scope opens of these, by SQL and by the oracle alike."""
    stored, condition = fill(connection, drawn), condition_of(scope)
    seen = found(connection, f"SELECT seq FROM events e WHERE {condition.sql}", condition.values)
    assert set(seen) == {seq for seq, event in stored.items() if scope.admits(event)}
    return [stored[seq] for seq in seen]


slow = settings(
    max_examples=figure("filters"),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@slow
@given(data=st.data(), drawn=st.lists(templates, max_size=12), scope=scopes)
def test_sql_finds_what_the_oracle_finds(
    database: sqlite3.Connection, data: st.DataObject, drawn: list[Template], scope: Scope
) -> None:
    stored = fill(database, drawn)
    one = data.draw(filters(list(stored.values())))
    limit = data.draw(st.integers(1, 15))
    last = max(stored, default=0)
    wanted = {seq for seq, e in stored.items() if one.matches(e) and scope.admits(e)}
    # NIP-01: newest first, the lowest id first among equals, cut at the limit.
    order = sorted(wanted, key=lambda seq: (-stored[seq].created_at, stored[seq].id))
    statement = newest(one, scope, NOW, last, limit)
    assert found(database, statement.sql, statement.values) == order[:limit]
    after = data.draw(st.sampled_from([0, *stored]))
    statement = in_order_of_arrival(one, scope, NOW, after, last, limit)
    ascending = [seq for seq in sorted(wanted) if seq > after]
    assert found(database, statement.sql, statement.values) == ascending[:limit]


@slow
@given(drawn=st.lists(templates, max_size=12), scope=scopes)
def test_the_scope_is_the_same_in_sql(
    database: sqlite3.Connection, drawn: list[Template], scope: Scope
) -> None:
    stored = fill(database, drawn)
    condition = condition_of(scope)
    seen = found(database, f"SELECT seq FROM events e WHERE {condition.sql}", condition.values)
    assert set(seen) == {seq for seq, event in stored.items() if scope.admits(event)}


def test_nothing_after_the_arrival_number_is_found(database: sqlite3.Connection) -> None:
    """What comes later is delivered live; found as well it would come twice."""
    stored = fill(database, [Template(PEOPLE[0], NOW, 1, (), str(n)) for n in range(4)])
    first, second, *_ = sorted(stored)
    everything = Scope(everything=True)
    statement = newest(Filter(), everything, NOW, second, 10)
    assert set(found(database, statement.sql, statement.values)) == {first, second}
    statement = in_order_of_arrival(Filter(), everything, NOW, first, second, 10)
    assert found(database, statement.sql, statement.values) == [second]


def test_what_has_expired_is_not_found(database: sqlite3.Connection) -> None:
    fill(database, [])
    transaction = Transaction(database)
    for n, expires_at in enumerate((NOW - 1, NOW, NOW + 1, None)):
        event = Template(PEOPLE[0], NOW, 1, (), str(n)).with_sig("0" * 128)
        transaction.insert(event, b"{}", expires_at)
    transaction.write_out()
    statement = newest(Filter(), Scope(everything=True), NOW, 2**62, 10)
    assert len(found(database, statement.sql, statement.values)) == 2


def test_an_event_with_two_of_the_wanted_tags_is_found_once(database: sqlite3.Connection) -> None:
    tags = (("t", "a"), ("t", "b"))
    stored = fill(database, [Template(PEOPLE[0], NOW, 1, tags, str(n)) for n in range(3)])
    one = Filter(tags={"t": frozenset({"a", "b"})})
    statement = newest(one, Scope(everything=True), NOW, max(stored), 3)
    assert set(found(database, statement.sql, statement.values)) == set(stored)


def test_tag_keys_are_apart() -> None:
    hexed = "ab" * 32
    raw = [tag_key("t", value) for value in (hexed, hexed.upper(), hexed + "0", "x" * 64, "x" * 65)]
    assert len(set(raw)) == len(raw)
    assert tag_key("t", "x") != tag_key("T", "x")
    assert max(len(key) for key in raw) <= 66


def test_a_filter_with_many_values_is_one_statement(database: sqlite3.Connection) -> None:
    many = frozenset(f"{n:064x}" for n in range(5_000))
    one = replace(Filter(ids=many, authors=many), tags={"p": many, "e": many})
    statement = newest(one, Scope(everything=True), NOW, 10, 10)
    assert found(database, statement.sql, statement.values) == []


ROOMS, NOBODY = frozenset({MAIN}), frozenset[str]()
OF_GROUPS = [
    Template(author.public, NOW, kind, tags, "")
    for kind, author, tags in (
        (9, MEMBER, (("h", MAIN),)),
        (9009, OWNER, (("h", MAIN), ("code", "come in, please"))),
        (9021, STRANGER, (("h", MAIN), ("code", "come in, please"))),
        (39_000, RELAY, (("d", MAIN), ("h", MAIN))),
        (39_002, RELAY, (("d", MAIN), ("h", MAIN))),
        (44_101, RELAY, (("p", MEMBER.public), ("h", MAIN))),
    )
]


@pytest.mark.parametrize(
    ("scope", "kinds"),
    [
        (Scope(rooms=ROOMS), {9, 39_000, 39_002}),
        (Scope(facades=ROOMS), {39_000}),
        (Scope(governed=ROOMS), {9009, 9021}),
        (Scope(all_rooms=True), {9, 9009, 9021, 39_000, 39_002}),
        (Scope(keys=frozenset({STRANGER.public})), {9021}),
        (Scope(told=frozenset({MEMBER.public})), {44_101}),
        (Scope(told=frozenset({OWNER.public})), NOBODY),
    ],
)
def test_what_each_part_of_a_scope_opens_of_a_group(
    database: sqlite3.Connection, scope: Scope, kinds: set[int]
) -> None:
    assert {event.kind for event in opened(database, OF_GROUPS, scope)} == kinds


OF_NO_GROUP = [
    Template(author.public, NOW, Kind.APP_DATA, (("d", d), ("p", to.public)), "")
    for d, author, to in (
        ("signal/x", SIGNAL, OWNER),
        ("grant/x", ROUTER, SESSION),
        ("place/x", BRIDGE, MEMBER),
    )
]


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        # Attack: whoever reads all records reads what came from Signal, before anybody has judged
        # whom it is for; or whoever it names does.
        (Scope(records=True, all_rooms=True, wraps=True, profiles=True), {"place/x"}),
        (Scope(grants=True), {"grant/x"}),
        (Scope(keys=frozenset({SIGNAL.public})), {"signal/x"}),
        (Scope(keys=frozenset({OWNER.public})), NOBODY),
        (Scope(keys=frozenset({SESSION.public})), {"grant/x"}),
        (Scope(keys=frozenset({MEMBER.public})), {"place/x"}),
    ],
)
def test_what_each_part_of_a_scope_opens_of_records(
    database: sqlite3.Connection, scope: Scope, names: set[str]
) -> None:
    assert {event.tag("d") for event in opened(database, OF_NO_GROUP, scope)} == names
