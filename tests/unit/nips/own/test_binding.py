"""Bindings: round trip, and folders that are paths."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nips.kinds import Kind
from nips.own.binding import Binding, parse, template
from nips.refusal import Malformed

GROUP, ROUTER, OWNER = "0f8fad5b-d9cb-469f-a165-70867728950e", "0a" * 32, "0b" * 32
BINDING = Binding(GROUP, "main", (f"nostr:{OWNER}", "signal:group.abc="), "@Andy")


@pytest.mark.parametrize("binding", [BINDING, Binding(GROUP, "A_b-9"), Binding(GROUP, "x" * 64)])
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
        {"counterparts": [f"signal:{n}" for n in range(51)]},
        {"trigger": 5},
        {"trigger": "x" * 201},
        {"persona": "kind"},
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
