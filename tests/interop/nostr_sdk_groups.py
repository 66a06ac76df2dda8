"""nostr-sdk as the owner's NIP-29 client on the private relay.

Reads one JSON object from stdin, {url, key, group, bot, friend, names: [first, second], call}. It
makes a group, names it, talks in it, adds a friend and names it otherwise; with `delete` it deletes
it. Prints what came of each step.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import nostr_sdk as sdk

WAIT = timedelta(seconds=10)
PATIENCE_S = 40.0


class Owner:
    """A client that has authenticated with the owner's key."""

    def __init__(self, client: sdk.Client, keys: sdk.Keys, group: str) -> None:
        self._client, self._keys, self._group = client, keys, group

    async def say(self, kind: int, *tags: list[str], content: str = "") -> str:
        """Publish an event of the group, and say what came of it."""
        parsed = [sdk.Tag.parse(tag) for tag in (["h", self._group], *tags)]
        builder = sdk.EventBuilder(sdk.Kind(kind), content).tags(parsed)
        try:
            await self._client.send_event(await builder.finalize_async(self._keys))
        except sdk.NostrSdkError as error:
            return f"error: {error}"
        return "ok"

    async def first(self, wanted: dict[str, Any], is_it: Callable[[Any], bool]) -> Any:
        """Ask until an event is there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                asked = sdk.Filter.from_json(json.dumps(wanted))
                for event in await self._client.fetch_events(sdk.ReqTarget.auto([asked]), WAIT):
                    found = json.loads(event.as_json())
                    if is_it(found):
                        return found
                await asyncio.sleep(0.2)


def values(event: Any, name: str) -> list[str]:
    return [tag[1] for tag in event["tags"] if tag[0] == name]


async def main() -> None:
    asked = json.loads(sys.stdin.read())
    sdk.uniffi_set_event_loop(asyncio.get_running_loop())
    keys, group = sdk.Keys.parse(asked["key"]), asked["group"]
    client = sdk.ClientBuilder().authenticator(sdk.SignerAuthenticator(keys)).build()
    await client.add_relay(sdk.RelayUrl.parse(asked["url"]))
    await client.connect(WAIT)
    owner = Owner(client, keys, group)
    await owner.first({"kinds": [39000]}, lambda _: True)  # it has authenticated
    told: dict[str, Any] = {}
    if asked.get("delete"):
        told["deleted"] = await owner.say(9008)
    else:
        first, second = asked["names"]
        members, state = {"kinds": [39002], "#d": [group]}, {"kinds": [39000], "#d": [group]}
        told["created"] = await owner.say(9007)
        told["named"] = await owner.say(9002, ["name", first], ["private"], ["closed"])
        joined = await owner.first(members, lambda event: asked["bot"] in values(event, "p"))
        told["joined"] = bool(joined)
        told["said"] = await owner.say(9, content=asked["call"])
        answers = {"kinds": [9], "#h": [group], "authors": [asked["bot"]]}
        told["answer"] = (await owner.first(answers, lambda _: True))["content"]
        told["added"] = await owner.say(9000, ["p", asked["friend"], "member"])
        seen = await owner.first(members, lambda event: asked["friend"] in values(event, "p"))
        told["friend"] = bool(seen)
        told["renamed"] = await owner.say(9002, ["name", second], ["private"], ["closed"])
        named = await owner.first(state, lambda event: values(event, "name") == [second])
        told["name"] = values(named, "name")[0]
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await asyncio.sleep(0.3)
    os._exit(0)


asyncio.run(main())
