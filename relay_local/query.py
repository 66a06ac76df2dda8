"""Pure: a filter and a scope as one SQL statement over the tables of `store.py`.

A statement yields rows of (seq, created_at, id, size). Every value is bound, none is pasted in.
The scope is part of the statement, so that a limit counts only what the viewer may see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from nips import nip50
from nips.filter import Filter
from nips.key import is_hex
from nips.kinds import Kind
from relay_local.access import PROFILE_KINDS, Audience, Scope
from relay_local.roster import NOTICE_KINDS

MAX_INDEXED_BYTES = 64
DEFAULT_LIMIT = 500  # of a filter that names none
MAX_LIMIT = 5_000

Value = int | bytes | str


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and what is bound to its question marks."""

    sql: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class _Condition:
    sql: str
    values: tuple[Value, ...] = ()


def tag_key(letter: str, value: str) -> bytes:
    """A tag as the index holds it: its letter, then keys as 32 bytes, short values as they are,
    long ones hashed; the byte between keeps the three apart."""
    if len(value) <= MAX_INDEXED_BYTES:
        return _short_key(letter, value)
    return letter.encode() + b"\x02" + sha256(value.encode()).digest()


@lru_cache(8_192)  # the same groups and people again and again: of short values, a few megabytes
def _short_key(letter: str, value: str) -> bytes:
    if is_hex(value, 32):
        return letter.encode() + b"\x01" + bytes.fromhex(value)
    encoded = value.encode()
    if len(encoded) <= MAX_INDEXED_BYTES:
        return letter.encode() + b"\x00" + encoded
    return letter.encode() + b"\x02" + sha256(encoded).digest()


def newest(one: Filter, scope: Scope, now_s: int, up_to: int, limit: int) -> Statement:
    """The newest events of a filter among those that arrived up to a number.

    NIP-01: "the newest events should appear first", and "the event with the lowest id (first in
    lexical order) should appear first" among those of one second.
    """
    found = None if one.search is None else nip50.parse(one.search)
    if found is not None and not found.is_blank:
        return _most_relevant(one, scope, now_s, up_to, limit, found)
    letter = _driving_letter(one.tags) if one.ids is None else None
    conditions = _conditions(one, scope, now_s, skip=letter)
    conditions.append(_Condition("e.seq <= ?", (up_to,)))
    if letter is None:
        source, distinct, time = "events e", "", "e.created_at"
    else:
        # An event may hold two of the wanted values and is still one row.
        source = "tags t CROSS JOIN events e ON e.seq = t.seq"
        distinct = "DISTINCT " if len(one.tags[letter]) > 1 else ""
        time = "t.created_at"
        keys = tuple(sorted(tag_key(letter, value) for value in one.tags[letter]))
        conditions = [_one_of("t.tag", keys), *conditions]
    conditions += _within(one, time)
    where = _all_of(conditions)
    what = f"SELECT {distinct}e.seq, {time}, e.id, length(e.json) FROM {source}"  # noqa: S608 - column names of ours; values are bound
    order = f"ORDER BY {time} DESC, e.id ASC LIMIT ?"
    return Statement(f"{what} WHERE {where.sql} {order}", (*where.values, limit))


def with_bodies(found: Statement, max_bytes: int) -> Statement:
    """The rows of a statement, in any order, each with its JSON; NULL for a longer one.

    The bodies are joined on when the limit has been applied, so that no sort carries them.
    """
    sql = (
        f"WITH found(seq, created_at, id, size) AS ({found.sql}) "  # noqa: S608 - a statement of ours
        "SELECT found.seq, found.created_at, found.id, found.size, "
        "CASE WHEN found.size <= ? THEN b.json END "
        "FROM found CROSS JOIN events b ON b.seq = found.seq"
    )
    return Statement(sql, (*found.values, max_bytes))


def _most_relevant(
    one: Filter, scope: Scope, now_s: int, up_to: int, limit: int, found: nip50.Query
) -> Statement:
    """NIP-50: what a search finds, the most telling first, as far as the limit goes."""
    # A phrase holds letters and digits only, so no word is an operator of the index.
    match = " ".join('"' + " ".join(phrase) + '"' for phrase in found.phrases)
    matching = _Condition("words MATCH ?", (match,)) if match else _Condition("0")
    conditions = [matching, *_conditions(one, scope, now_s, skip=None)]
    conditions.append(_Condition("e.seq <= ?", (up_to,)))
    conditions += _within(one, "e.created_at")
    where = _all_of(conditions)
    what = (
        "SELECT e.seq, e.created_at, e.id, length(e.json) "
        "FROM words CROSS JOIN events e ON e.seq = words.rowid"
    )
    order = "ORDER BY words.rank, e.created_at DESC, e.id ASC LIMIT ?"
    return Statement(f"{what} WHERE {where.sql} {order}", (*where.values, limit))


def count(filters: Sequence[Filter], scope: Scope, now_s: int, up_to: int) -> Statement:
    """How many events match one of the filters, each counted once: one row of one number.

    NIP-45: "Multiple filters are OR'd together". A filter's own `limit` bounds its part.
    """
    parts = [
        newest(one, scope, now_s, up_to, -1 if one.limit is None else one.limit) for one in filters
    ]
    union = " UNION ".join(f"SELECT seq FROM ({part.sql})" for part in parts)  # noqa: S608 - statements of ours
    values = tuple(value for part in parts for value in part.values)
    return Statement(f"SELECT count(*) FROM ({union})", values)  # noqa: S608 - a statement of ours


def in_order_of_arrival(
    one: Filter, scope: Scope, now_s: int, after: int, up_to: int, limit: int
) -> Statement:
    """The events of a filter that arrived after one number and up to another, first one first."""
    conditions = _conditions(one, scope, now_s, skip=None)
    conditions.append(_Condition("e.seq > ? AND e.seq <= ?", (after, up_to)))
    conditions += _within(one, "e.created_at")
    where = _all_of(conditions)
    what = "SELECT e.seq, e.created_at, e.id, length(e.json) FROM events e"
    return Statement(f"{what} WHERE {where.sql} ORDER BY e.seq ASC LIMIT ?", (*where.values, limit))


def condition_of(scope: Scope) -> Statement:
    """The scope as a condition on a row `e` of events: true where `scope.admits` is."""
    condition = _visible(scope)
    return Statement(condition.sql, condition.values)


def _conditions(one: Filter, scope: Scope, now_s: int, skip: str | None) -> list[_Condition]:
    conditions = []
    if one.ids is not None:
        conditions.append(_one_of("e.id", _blobs(one.ids)))
    if one.authors is not None:
        conditions.append(_one_of("e.pubkey", _blobs(one.authors)))
    if one.kinds is not None:
        conditions.append(_one_of("e.kind", tuple(sorted(one.kinds))))
    conditions += [
        _tagged(tag_key(letter, value) for value in values)
        for letter, values in one.tags.items()
        if letter != skip
    ]
    conditions.append(_Condition("(e.expires_at IS NULL OR e.expires_at > ?)", (now_s,)))
    conditions.append(_visible(scope))
    return conditions


def _within(one: Filter, time: str) -> list[_Condition]:
    limits = ((f"{time} >= ?", one.since), (f"{time} <= ?", one.until))
    return [_Condition(sql, (limit,)) for sql, limit in limits if limit is not None]


@lru_cache(64)  # the scopes of those who are here; one is a new value when the world changes
def _visible(scope: Scope) -> _Condition:
    mentioned = _tagged(tag_key("p", key) for key in scope.keys)
    own = _one_of("e.pubkey", _blobs(scope.keys))
    true = _Condition("1")
    rooms = true if scope.all_rooms else _one_of("e.room", tuple(sorted(scope.rooms)))
    profiles = _one_of("e.kind", tuple(sorted(PROFILE_KINDS)) if scope.profiles else ())
    of_faces = _one_of("e.pubkey", _blobs(scope.faces))
    faces = _all_of([_Condition(f"e.kind = {int(Kind.PROFILE)}"), of_faces])
    wraps = _one_of("e.kind", (int(Kind.GIFT_WRAP),) if scope.wraps else ())
    if scope.everything:
        return _any_of([_Condition("e.kind <> ?", (int(Kind.GIFT_WRAP),)), wraps, mentioned])
    facades = _one_of("e.room", tuple(sorted(scope.facades)))
    governed = true if scope.all_rooms else _one_of("e.room", tuple(sorted(scope.governed)))
    notices = _one_of("e.kind", tuple(sorted(NOTICE_KINDS)))
    told = _all_of([notices, _tagged(tag_key("p", key) for key in scope.told)])
    by_audience = {
        Audience.ROOM: rooms,
        Audience.PASSERS_BY: _any_of([rooms, facades]),
        Audience.GOVERNORS: _any_of([governed, own]),
        Audience.PERSONAL: _any_of([wraps, mentioned, told]),
        Audience.AUTHOR: own,
        Audience.GRANT: true if scope.grants else _any_of([own, mentioned]),
        Audience.OPEN: true if scope.records else _any_of([profiles, faces, own, mentioned]),
    }
    return _any_of(
        [
            _all_of([_Condition(f"e.audience = {int(audience)}"), condition])
            for audience, condition in by_audience.items()
        ]
    )


def _driving_letter(tags: Mapping[str, Collection[str]]) -> str | None:
    return min(tags, key=lambda letter: len(tags[letter]), default=None)


def _tagged(keys: Iterable[bytes]) -> _Condition:
    wanted = _one_of("x.tag", tuple(sorted(keys)))
    if wanted.sql == "0":
        return wanted
    of_row = f"{wanted.sql} AND x.created_at = e.created_at AND x.seq = e.seq"
    return _Condition(f"EXISTS (SELECT 1 FROM tags x WHERE {of_row})", wanted.values)  # noqa: S608


def _one_of(column: str, values: tuple[Value, ...]) -> _Condition:
    if not values:  # NIP-01 lists are of alternatives; of none of them nothing matches
        return _Condition("0")
    if len(values) == 1:
        return _Condition(f"{column} = ?", values)
    return _Condition(f"{column} IN ({','.join('?' * len(values))})", values)


def _all_of(conditions: list[_Condition]) -> _Condition:
    values = tuple(value for condition in conditions for value in condition.values)
    return _Condition(" AND ".join(f"({condition.sql})" for condition in conditions), values)


def _any_of(conditions: list[_Condition]) -> _Condition:
    values = tuple(value for condition in conditions for value in condition.values)
    return _Condition(" OR ".join(f"({condition.sql})" for condition in conditions), values)


def _blobs(hexes: Collection[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(one) for one in sorted(hexes))
