"""signer/public_face.py: what a bridge may have signed in the bot's name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nips import nip17, nip42
from nips.event import Tag, Template
from signer.ceiling import Ceiling
from signer.public_face import needs_a_yes, refusal
from tests.unit.signer.house import NOW, House

HOUSE = House()
A, B = HOUSE.ceiling.relays
PROFILE = {"about": "An assistant", "bot": True, "name": "Bot"}


def allowed(kind: int, *tags: Tag, content: str = "", ceiling: Ceiling = HOUSE.ceiling) -> bool:
    return refusal(Template(HOUSE.bot.public, NOW, kind, tags, content), ceiling) is None


def test_what_the_other_rooms_make_is_allowed() -> None:
    bot = HOUSE.bot.public
    assert refusal(nip17.inbox_list_template(bot, (A, B), NOW), HOUSE.ceiling) is None
    assert refusal(nip42.auth_template(bot, "challenge", A, NOW), HOUSE.ceiling) is None


@pytest.mark.parametrize(
    "url", [A, f"{A}/", A.upper().replace("WSS", "wss"), "wss://a.example:443"]
)
def test_a_login_at_a_relay_of_ours(url: str) -> None:
    assert allowed(22_242, ("relay", url), ("challenge", "c"))


@pytest.mark.parametrize(
    "tags",
    [
        (("relay", "wss://evil.example"), ("challenge", "c")),
        (("relay", "wss://a.example.evil.example"), ("challenge", "c")),
        (("relay", "wss://a.example@evil.example"), ("challenge", "c")),
        (("relay", "wss://a.example/path"), ("challenge", "c")),
        (("relay", "ws://a.example"), ("challenge", "c")),
        (("relay", "a.example"), ("challenge", "c")),
        (("relay", A),),
        (("challenge", "c"),),
        (("relay", A), ("relay", "wss://evil.example"), ("challenge", "c")),
        (("relay", A), ("challenge", "c"), ("p", "x")),
        (("relay", A), ("challenge", "c"), ("relay",)),
        (("relay", A, "wss://evil.example"), ("challenge", "c")),
    ],
)
def test_no_other_login(tags: tuple[Tag, ...]) -> None:
    assert not allowed(22_242, *tags)


def test_a_relay_named_for_logins_is_in_no_list() -> None:
    ceiling = replace(HOUSE.ceiling, login_relays=("wss://groups.example",))
    login = (("relay", "wss://groups.example/"), ("challenge", "c"))
    assert allowed(22_242, *login, ceiling=ceiling)
    assert not allowed(22_242, *login)
    urls = (*HOUSE.ceiling.relays, "wss://groups.example")
    assert not allowed(10_050, *(("relay", url) for url in urls), ceiling=ceiling)


def test_a_login_says_nothing_else() -> None:
    assert not allowed(22_242, ("relay", A), ("challenge", "c"), content="text")


@pytest.mark.parametrize(("kind", "name"), [(10_050, "relay"), (10_002, "r")])
def test_the_relay_lists_are_the_ceilings(kind: int, name: str) -> None:
    assert allowed(kind, (name, A), (name, B))
    assert allowed(kind, (name, B), (name, A))
    assert not allowed(kind, (name, A))
    assert not allowed(kind, (name, A), (name, B), (name, "wss://evil.example"))
    assert not allowed(kind, (name, A), (name, "wss://evil.example"))
    assert not allowed(kind, (name, A), (name, B), ("p", "x"))
    assert not allowed(kind, (name, A), (name, B, "read"))
    assert not allowed(kind, (name, A), (name, B), content="text")
    assert not allowed(kind, (name, A), (name, A))
    assert not allowed(kind, ceiling=Ceiling())


def test_the_profile_is_the_ceilings() -> None:
    assert allowed(0, content=json.dumps(PROFILE))
    assert allowed(0, content=json.dumps(PROFILE, indent=2))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({**PROFILE, "name": "Owner"}),
        json.dumps({**PROFILE, "lud16": "evil@example.com"}),
        json.dumps({**PROFILE, "bot": 1}),
        # Read by us as the second name, by another client as the first.
        '{"name": "Owner", "name": "Bot", "about": "An assistant", "bot": true}',
        "[" * 100_000,
    ],
)
def test_no_other_profile(content: str) -> None:
    assert not allowed(0, content=content)


def test_a_profile_has_no_tags_and_an_empty_ceiling_none() -> None:
    assert not allowed(0, ("i", "github:evil", "x"), content=json.dumps(PROFILE))
    assert not allowed(0, content="{}", ceiling=Ceiling())


def test_no_other_kind() -> None:
    kinds = {kind for kind in range(65_536) if allowed(kind)}
    assert kinds == set()


ASKED = json.dumps({**PROFILE, "name": "Ada"})


def asked(content: str, *tags: Tag, kind: int = 0, ceiling: Ceiling = HOUSE.ceiling) -> bool:
    return needs_a_yes(Template(HOUSE.bot.public, NOW, kind, tags, content), ceiling)


def test_another_profile_is_asked_about() -> None:
    assert asked(ASKED)
    assert asked('{"name":"Ada"}')
    assert asked('{"name":"Ada"}', ceiling=Ceiling())


def test_what_nobody_is_asked_about() -> None:
    assert not asked(json.dumps(PROFILE))  # it is signed as it is
    assert not asked(ASKED, ("i", "github:evil", "x"))
    assert not asked(ASKED, kind=10_050)
    assert not asked(ASKED, kind=3)
    assert not asked(ASKED, ceiling=replace(HOUSE.ceiling, ask_kinds=frozenset({3})))
    for content in ("", "[]", "null", "Ada", '{"name":"Owner","name":"Ada"}', "[" * 100_000):
        assert not asked(content)
