"""`nostrclaw bunker` on a running installation, and another maker's client that logs in."""

from __future__ import annotations

import json
from typing import Any

from nips.event import Event
from nips.key import SecretKey
from tests.e2e.conftest import Scene
from tests.e2e.test_commands import outcome
from tests.interop.conftest import nostr_sdk

CLIENT = SecretKey(bytes([77]) * 32)


async def bunker(scene: Scene, *arguments: str) -> Any:
    """What the command prints as JSON."""
    data = str(scene.house.place.data)
    status, said = await outcome("bunker", "--data", data, "--json", *arguments)
    assert status == 0, said
    return json.loads(said)


async def test_a_client_logs_in_as_the_assistant_and_is_sent_away(scene: Scene) -> None:
    made = await bunker(scene, "--kinds", "1,30023", "--ttl", "8h", "--rate", "10/h")
    asked = {
        "uri": made["uri"], "key": CLIENT.raw.hex(), "kind": 1, "forbidden": 0,
        "peer": CLIENT.public, "payload": "x",
    }  # fmt: skip
    told = await nostr_sdk(asked)
    event = Event.from_json(told["kind"])
    event.verify()
    assert event.pubkey == told["bot"] == scene.house.roles.bot
    assert "kind 0 is not allowed" in told["forbidden"]

    [row] = [row for row in await bunker(scene, "list") if row["id"] == made["id"]]
    assert (row["state"], row["used"]) == ("in use", 1)
    assert [ended["id"] for ended in await bunker(scene, "revoke", made["id"])] == [made["id"]]
    assert "error" in (await nostr_sdk(asked))["bot"]
    assert await scene.ask("/say still here") == "still here"  # the agent's own grants are others
