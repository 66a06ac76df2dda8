"""Roles: read, written, and never two for one key."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from nips.key import SecretKey
from nips.own.roles import Roles, parse
from nips.refusal import Malformed

KEYS = [SecretKey(bytes([n]) * 32).public for n in range(1, 10)]
MAIN = "0f8fad5b-d9cb-469f-a165-70867728950e"
FULL: dict[str, Any] = {
    "relay": KEYS[0],
    "signer": KEYS[1],
    "router": KEYS[2],
    "bot": KEYS[3],
    "main": MAIN,
    "owner": KEYS[4],
    "chat": KEYS[5],
    "bridges": {"nostr": KEYS[6], "signal": KEYS[7]},
}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in FULL.items() if name not in names}


def test_who_is_who() -> None:
    roles = parse(FULL)
    assert [roles.role_of(key) for key in KEYS] == [
        "relay",
        "signer",
        "router",
        "bot",
        "owner",
        "chat",
        "bridge",
        "bridge",
        None,
    ]
    assert roles.main == MAIN
    assert roles.role_of(MAIN) is None
    assert roles.bridge_of(KEYS[7]) == "signal"
    assert roles.bridge_of(KEYS[0]) is None
    assert roles.bridge_keys("signal") == {KEYS[7]}
    assert roles.bridge_keys("telex") == frozenset()


@pytest.mark.parametrize("absent", [(), ("owner",), ("owner", "chat"), ("owner", "bridges")])
def test_the_file_round_trip(absent: tuple[str, ...]) -> None:
    roles = parse(without(*absent))
    assert parse(tomllib.loads(roles.to_toml())) == roles


def test_a_missing_owner_is_nobody() -> None:
    roles = parse(without("owner"))
    assert roles.owner is None
    assert roles.role_of("") is None


def test_one_bridge_carries_mail() -> None:
    roles = parse(FULL)
    assert roles.mail_bridge == KEYS[6]
    assert parse({**FULL, "bridges": {"signal": KEYS[7]}}).mail_bridge is None


def test_bridges_cannot_be_changed_afterwards() -> None:
    given = {name: dict(value) if name == "bridges" else value for name, value in FULL.items()}
    roles = parse(given)
    given["bridges"]["nostr"] = KEYS[8]
    assert roles.bridges["nostr"] == KEYS[6]
    with pytest.raises(TypeError):
        roles.bridges["nostr"] = KEYS[8]  # type: ignore[index]


@pytest.mark.parametrize("name", ["relay", "signer", "router", "bot", "main"])
def test_what_must_be_there(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        parse(without(name))


@pytest.mark.parametrize(
    "change",
    [
        {"relay": KEYS[0].upper()},
        {"relay": "ff" * 32},  # not on the curve
        {"owner": ""},
        {"owner": 5},
        {"chat": "npub1"},
        {"main": "main"},
        {"main": MAIN.upper()},
        {"bridges": []},
        {"bridges": {"nostr": "x"}},
        {"bridges": {"../etc": KEYS[6]}},
        {"bridges": {"": KEYS[6]}},
        {"admin": KEYS[8]},
    ],
    ids=str,
)
def test_what_is_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse(FULL | change)


@pytest.mark.parametrize(
    "change",
    [
        {"bot": KEYS[4]},  # the assistant as its own owner
        {"chat": KEYS[4]},  # the terminal could approve
        {"router": KEYS[1]},
        {"bridges": {"nostr": KEYS[2]}},  # a bridge could mint grants
        {"bridges": {"nostr": KEYS[6], "signal": KEYS[6]}},
    ],
    ids=["bot", "chat", "router", "bridge", "two bridges"],
)
def test_one_key_holds_one_role(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="two roles"):
        parse(FULL | change)


def test_equal_files_are_equal_roles() -> None:
    assert parse(FULL) == parse(dict(FULL))
    assert isinstance(parse(FULL), Roles)
