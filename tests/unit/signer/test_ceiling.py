"""signer/ceiling.py: the file that bounds every grant."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.refusal import Malformed
from signer.ceiling import (
    NEVER_FOR_SESSIONS,
    NEVER_UNASKED,
    ONLY_ASKED,
    Caps,
    Ceiling,
    parse,
    render,
)
from tests.unit.signer.house import MAIN, OTHER


def test_what_is_written_is_read_back() -> None:
    ceiling = Ceiling(
        longest_ttl_s=90,
        session_kinds=frozenset({9}),
        ask_kinds=frozenset({0, 1}),
        pre_approved=frozenset({30_023}),
        groups={MAIN: frozenset({1, 30_023}), OTHER: frozenset()},
        public_reactions=frozenset({MAIN}),
        relays=("wss://a.example",),
        login_relays=("wss://groups.example",),
        profile={"name": 'A "quoted" \\ name \x7f', "about": "zwei\nZeilen 🦀", "bot": True},
        bunker_longest_ttl_s=60,
        bunker_kinds=frozenset({1}),
        caps=Caps(1, 2, 3, 4, 5, 6, 7),
    )
    assert parse(tomllib.loads(render(ceiling))) == ceiling


def test_every_line_says_what_it_means() -> None:
    written = render(Ceiling(groups={MAIN: frozenset({1})}, profile={}))
    values = [line for line in written.splitlines() if " = " in line or line.startswith("[")]
    explained = [line for line in values if "#" in line or line.startswith("group_per_day")]
    assert values == explained


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_no_profile_breaks_the_file(profile: dict[str, str]) -> None:
    assert dict(parse(tomllib.loads(render(Ceiling(profile=profile)))).profile) == profile


def test_nothing_given_is_the_usual() -> None:
    assert parse({}) == Ceiling()


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"longest_tll_s": 1}, "no field"),
        ({"longest_ttl_s": 0}, "longest_ttl_s"),
        ({"longest_ttl_s": True}, "longest_ttl_s"),
        ({"session_kinds": "9"}, "array"),
        ({"session_kinds": [70_000]}, "kind"),
        ({"session_kinds": [9, 13]}, "kind 13 is never a session's"),
        ({"bunker_longest_ttl_s": 0}, "bunker_longest_ttl_s"),
        ({"bunker_kinds": [1, 1059]}, "kind 1059 is never a login's"),
        ({"groups": {MAIN: {"kinds": [0]}}}, "kind 0 always needs the owner's own yes"),
        ({"pre_approved": [30_023, 3]}, "kind 3 always needs the owner's own yes"),
        ({"pre_approved": [13]}, "kind 13 is never"),
        ({"ask_kinds": [0, 30_078]}, "kind 30078 is never"),
        ({"ask_kinds": 0}, "array"),
        ({"groups": {"main": {"kinds": []}}}, "UUID"),
        ({"groups": {MAIN: {"kind": []}}}, "no field"),
        ({"groups": {MAIN: []}}, "table"),
        ({"groups": {MAIN: {"public_reactions": [7]}}}, "public_reactions is true or false"),
        ({"groups": {MAIN: {"public_reactions": 1}}}, "public_reactions is true or false"),
        ({"public_reactions": True}, "no field"),
        ({"groups": []}, "table"),
        ({"caps": {"per_hour": 1}}, "no field"),
        ({"caps": {"per_day": -1}}, "per_day"),
        ({"relays": "wss://a.example"}, "array"),
        ({"relays": [1]}, "relay"),
        ({"login_relays": "wss://a.example"}, "login_relays must be an array"),
        ({"profile": {"name": 1}}, "profile"),
    ],
)
def test_a_mistake_is_named(mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parse(mapping)


def test_a_ceiling_made_in_code_keeps_the_floor_too() -> None:
    everything = Ceiling(session_kinds=frozenset(range(65_536)))
    assert everything.kinds_of(MAIN) == frozenset(range(65_536)) - NEVER_UNASKED
    nothing_asked = Ceiling(ask_kinds=frozenset(), pre_approved=frozenset(range(65_536)))
    assert {kind for kind in range(65_536) if nothing_asked.asks(kind)} == ONLY_ASKED
    all_asked = Ceiling(ask_kinds=frozenset(range(65_536)))
    assert not any(all_asked.may_be_asked(kind) for kind in NEVER_FOR_SESSIONS)
    everything = Ceiling(bunker_kinds=frozenset(range(65_536)))
    assert everything.kinds_of_logins == frozenset(range(65_536)) - NEVER_UNASKED


def test_a_reaction_is_public_where_its_group_says_so_and_a_message_nowhere() -> None:
    ceiling = Ceiling(groups={OTHER: frozenset({7, 9})}, public_reactions=frozenset({MAIN}))
    assert ceiling.may_be_public(7, MAIN)
    assert not ceiling.may_be_public(9, MAIN)
    assert not ceiling.may_be_public(7, OTHER)
    assert ceiling.may_be_public(1, OTHER)
    # A file of before this was a line of it.
    assert parse({"groups": {MAIN: {"kinds": [1, 7]}}}).public_reactions == frozenset()


def test_a_group_gets_its_own_kinds_only() -> None:
    ceiling = Ceiling(groups={MAIN: frozenset({1})})
    assert ceiling.kinds_of(MAIN) == {1, 7, 9}
    assert ceiling.kinds_of(OTHER) == {7, 9}
