"""Bindings: round trip, folders that are paths, and old ones that stay what they were."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.kinds import Kind
from nips.own.binding import Binding, Budget, Quiet, checked, parse, template
from nips.refusal import Malformed
from tests.unit.nips.own.test_signal_id import ACI
from tests.unit.nips.own.test_signal_id import GROUP as SIGNAL_GROUP

GROUP, ROUTER, OWNER = "0f8fad5b-d9cb-469f-a165-70867728950e", "0a" * 32, "0b" * 32
BINDING = Binding(GROUP, "main", (f"nostr:{OWNER}", f"signal:{ACI}"), "@Andy")


NIGHT = Quiet("22:00", "07:00", "Europe/Berlin")
FULL = Binding(
    GROUP, "family", (f"nostr:{OWNER}",), "", room=True, archived=True, paused=True,
    senders="members", muted=(OWNER,), agents=True, owner_speaks=True, quiet=NIGHT,
    models=("small", "a/b:c"),
    budget=Budget(runs=3, tokens=0, microusd=2_500_000),
)  # fmt: skip


@pytest.mark.parametrize(
    "binding",
    [
        BINDING,
        FULL,
        Binding(GROUP, "A_b-9"),
        Binding(GROUP, "x" * 64),
        Binding(GROUP, "trip", (f"signal:{SIGNAL_GROUP}",), ""),
    ],
)
def test_round_trip(binding: Binding) -> None:
    event = template(binding, ROUTER, 7)
    assert parse(event, ROUTER) == binding
    assert event.tag("d") == f"group/{GROUP}"
    assert event.tag("alt")


def test_the_documented_form() -> None:
    text = json.dumps({"folder": "main", "counterparts": [f"nostr:{OWNER}"], "trigger": None})
    event = replace(template(BINDING, ROUTER, 7), content=text)
    assert parse(event, ROUTER) == Binding(GROUP, "main", (f"nostr:{OWNER}",))


@pytest.mark.parametrize(
    "folder",
    ["", ".", "..", "../etc", "/etc", "a/b", "a\\b", "-rf", "_x", "é", "a\n", "a\0", "x" * 65, 5],
)
def test_a_folder_is_a_name_and_never_a_path(folder: object) -> None:
    """Attack: the folder becomes a mount of a container; ../.. would mount the host."""
    with pytest.raises(Malformed):
        Binding.from_json(GROUP, BINDING.to_json() | {"folder": folder})


@pytest.mark.parametrize(
    "change",
    [
        {"counterparts": "nostr:x"},
        {"counterparts": ["nostr:x"]},
        {"counterparts": [OWNER]},
        {"counterparts": ["nostr:"]},
        {"counterparts": [5]},
        {"counterparts": [f"nostr:{OWNER}"] * 2},
        {"counterparts": [f"nostr:{n:064x}" for n in range(51)]},
        {"counterparts": ["signal:+4915112345678"]},
        {"counterparts": [f"signal:{ACI.upper()}"]},
        {"counterparts": ["signal:group.abc="]},
        {"counterparts": [f"signal:{SIGNAL_GROUP}", f"signal:{ACI}"]},
        {"counterparts": [f"nostr:{OWNER}", f"signal:{SIGNAL_GROUP}"]},
        {"trigger": 5},
        {"trigger": "x" * 201},
        {"trigger": " @Andy"},
        {"trigger": "@An\ndy"},
        {"persona": "kind"},
        {"room": 1},
        {"archived": "yes"},
        {"paused": None},
        {"agents": 0},
        {"owner_speaks": "on"},
        {"room": True, "counterparts": [f"signal:{ACI}"]},
        {"senders": "everybody"},
        {"senders": None},
        {"senders": ["trusted"]},
        {"muted": OWNER},
        {"muted": ["x"]},
        {"muted": [OWNER, OWNER]},
        {"muted": [f"{n:064x}" for n in range(501)]},
        {"quiet": "22:00-07:00"},
        {"quiet": {"start": "22:00", "end": "07:00"}},
        {"quiet": {"start": "24:00", "end": "07:00", "zone": "UTC"}},
        {"quiet": {"start": "22:00", "end": "7:00", "zone": "UTC"}},
        {"quiet": {"start": "22:00", "end": "22:00", "zone": "UTC"}},
        {"quiet": {"start": "22:00", "end": "07:00", "zone": "UTC", "days": [1]}},
        {"models": "small"},
        {"models": [""]},
        {"models": ["a", "a"]},
        {"models": [f"m{n}" for n in range(51)]},
        {"budget": None},
        {"budget": {"runs": -1}},
        {"budget": {"runs": 1.0}},
        {"budget": {"runs": True}},
        {"budget": {"euros": 1}},
    ],
    ids=str,
)
def test_a_wrong_field(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Binding.from_json(GROUP, BINDING.to_json() | change)


def test_what_is_no_binding() -> None:
    event = template(BINDING, ROUTER, 7)
    for bad in (
        replace(event, kind=Kind.CHAT),
        replace(event, pubkey=OWNER),
        replace(event, tags=()),
        replace(event, tags=(("d", GROUP),)),
        replace(event, tags=(("d", "group/main"),)),
        replace(event, content="[]"),
    ):
        with pytest.raises(Malformed):
            parse(bad, ROUTER)


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "/etc/localtime", "Europe/../UTC", "", "a" * 40, "UTC\0", "Ü"]
)
def test_a_zone_is_a_name_and_never_a_path(zone: str) -> None:
    """Attack: the zone is looked up as a file below the folder of zones."""
    quiet = {"start": "22:00", "end": "07:00", "zone": zone}
    with pytest.raises(Malformed, match="zone"):
        Binding.from_json(GROUP, BINDING.to_json() | {"quiet": quiet})


def test_a_binding_without_a_folder_is_none() -> None:
    with pytest.raises(Malformed, match="folder"):
        Binding.from_json(GROUP, {})


def test_a_binding_that_uses_nothing_new_is_what_it_was_byte_for_byte() -> None:
    event = template(Binding(GROUP, "main", (f"nostr:{OWNER}",)), ROUTER, 7)
    assert event.content == (f'{{"folder":"main","counterparts":["nostr:{OWNER}"],"trigger":null}}')
    assert event.tags == (("d", f"group/{GROUP}"), ("alt", "What a group is bound to"))


def test_a_replacement_names_what_it_replaces() -> None:
    event = template(BINDING, ROUTER, 7, prev="0c" * 32)
    assert event.tag("prev") == "0c" * 32
    assert parse(event, ROUTER) == BINDING


def test_what_was_changed_in_memory_is_checked_before_it_is_signed() -> None:
    assert checked(FULL) == FULL
    with pytest.raises(Malformed, match="muted"):
        checked(replace(FULL, muted=("alice",)))


keys = st.binary(min_size=32, max_size=32).map(bytes.hex)
times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
amounts = st.none() | st.integers(0, 2**53 - 1)
words = st.text(
    st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40
)  # fmt: skip
nights = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1])
anything = st.builds(
    Binding,
    st.just(GROUP),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    st.lists(keys.map("nostr:{}".format), max_size=5, unique=True).map(tuple),
    st.none() | st.just("") | words,
    room=st.booleans(),
    archived=st.booleans(),
    paused=st.booleans(),
    senders=st.sampled_from(["trusted", "members"]),
    muted=st.lists(keys, max_size=5, unique=True).map(tuple),
    agents=st.booleans(),
    owner_speaks=st.booleans(),
    quiet=st.none()
    | st.tuples(nights, st.sampled_from(["UTC", "Europe/Berlin", "America/Port-au-Prince"])).map(
        lambda made: Quiet(*made[0], made[1])
    ),
    models=st.none() | st.lists(words, max_size=4, unique=True).map(tuple),
    budget=st.builds(Budget, amounts, amounts, amounts),
)


@given(anything)
def test_whatever_is_written_is_read_back(binding: Binding) -> None:
    assert parse(template(binding, ROUTER, 7), ROUTER) == binding


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(anything, st.sampled_from(sorted(FULL.to_json())), json_values)
def test_any_value_in_any_field_is_read_whole_or_refused(
    binding: Binding, field: str, value: Any
) -> None:
    try:
        read = Binding.from_json(GROUP, binding.to_json() | {field: value})
    except Malformed:
        return
    assert Binding.from_json(GROUP, read.to_json()) == read
