"""nostr-sdk as a client, in a process of its own: it may crash the interpreter that it ends in.

Reads one JSON line from stdin, `{"url", "secret", "publish": [[kind, content, tag, …]], "filter"}`,
and writes one to stdout: `{"ok": {kind: sentence or null}, "fetched": [events], "live": [ids]}`.
With "live": false it does not wait to hear what it has sent. With "sync", a list of notes that the
client has, it also reconciles its notes: `{"synced": {"sent": [ids], "received": [ids]}}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import timedelta
from typing import Any

import nostr_sdk as sdk

from nips.event import Event
from nips.filter import Filter

WAIT_S = 10


class Shelf(sdk.NostrDatabase):  # type: ignore[misc]  # the SDK has no types
    """The client's own events, in memory: its build has no database of its own."""

    def __init__(self) -> None:
        self.events: dict[str, sdk.Event] = {}

    def backend(self) -> str:
        return "memory"

    def features(self) -> sdk.NostrDatabaseFeatures:
        return sdk.NostrDatabaseFeatures(
            persistent=False,
            event_expiration=False,
            full_text_search=False,
            request_to_vanish=False,
        )

    async def save_event(self, event: sdk.Event) -> sdk.SaveEventStatus:
        self.events[event.id().to_hex()] = event
        return sdk.SaveEventStatus.success()

    async def check_id(self, event_id: sdk.EventId) -> sdk.DatabaseEventStatus:
        known = event_id.to_hex() in self.events
        return sdk.DatabaseEventStatus.SAVED if known else sdk.DatabaseEventStatus.NOT_EXISTENT

    async def event_by_id(self, event_id: sdk.EventId) -> sdk.Event | None:
        return self.events.get(event_id.to_hex())

    async def count(self, filter: sdk.Filter) -> int:  # noqa: A002 - the SDK's name
        return len(await self.query(filter))

    async def query(self, filter: sdk.Filter) -> list[sdk.Event]:  # noqa: A002
        wanted = Filter.from_json(json.loads(filter.as_json()))
        return [
            event
            for event in self.events.values()
            if wanted.matches(Event.from_json(json.loads(event.as_json())))
        ]

    async def delete_events(self, filter: sdk.Filter) -> None:  # noqa: A002
        for event in await self.query(filter):
            del self.events[event.id().to_hex()]

    async def wipe(self) -> None:
        self.events.clear()


async def run(task: dict[str, Any]) -> dict[str, Any]:
    sdk.uniffi_set_event_loop(asyncio.get_running_loop())
    keys = sdk.Keys.parse(task["secret"])
    url = sdk.RelayUrl.parse(task["url"])
    shelf = Shelf()
    client = (
        sdk.ClientBuilder()
        .authenticator(sdk.SignerAuthenticator(keys))
        .notification_channel_size(65_536)
        .database(shelf)
        .build()
    )
    await client.add_relay(url)
    notifications = client.notifications()
    await client.connect(and_wait=timedelta(seconds=WAIT_S))
    wanted = sdk.Filter.from_json(json.dumps(task["filter"]))
    await client.subscribe(sdk.ReqTarget.auto([wanted]))
    said: dict[str, str | None] = {}
    sent: set[str] = set()
    for kind, content, *tags in task["publish"]:
        builder = sdk.EventBuilder(sdk.Kind(kind), content).tags([sdk.Tag.parse(t) for t in tags])
        event = builder.finalize(keys)
        output = await client.send_event(event, ok_timeout=timedelta(seconds=WAIT_S))
        said[str(kind)] = next(iter(output.failed.values()), None)
        if not output.failed:
            sent.add(event.id().to_hex())
    fetched = await client.fetch_events(
        sdk.ReqTarget.auto([wanted]), timeout=timedelta(seconds=WAIT_S)
    )
    live: set[str] = set()
    async with asyncio.timeout(WAIT_S):
        while task.get("live", True) and not sent <= live:
            note = await notifications.next()
            if note is not None and note.is_message():
                message = note.message.as_enum()
                if message.is_event_msg():
                    live.add(message.event.id().to_hex())
    synced = None
    if "sync" in task:
        for own in task["sync"]:
            await shelf.save_event(sdk.Event.from_json(json.dumps(own)))
        options = sdk.SyncOptions().direction(sdk.SyncDirection.BOTH)
        notes = sdk.Filter().kind(sdk.Kind(1))
        summary = await client.sync(notes, _with=[url], opts=options)
        assert not summary.failed, summary.failed
        synced = {
            "sent": sorted(one.to_hex() for one in summary.report.sent),
            "received": sorted(one.to_hex() for one in summary.report.received),
        }
    await client.shutdown()
    await asyncio.sleep(0.3)  # its threads may still be returning from callbacks
    return {
        "ok": said,
        "fetched": [json.loads(event.as_json()) for event in fetched],
        "live": sorted(live),
        "synced": synced,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.loads(sys.stdin.readline())))), flush=True)
    os._exit(0)
