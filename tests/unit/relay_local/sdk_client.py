"""nostr-sdk as a client, in a process of its own: it may crash the interpreter that it ends in.

Reads one JSON line from stdin, `{"url", "secret", "publish": [kinds], "filter"}`, and writes one
to stdout: `{"ok": {kind: sentence or null}, "fetched": [events], "live": [ids]}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import timedelta
from typing import Any

import nostr_sdk as sdk

WAIT_S = 10


async def run(task: dict[str, Any]) -> dict[str, Any]:
    sdk.uniffi_set_event_loop(asyncio.get_running_loop())
    keys = sdk.Keys.parse(task["secret"])
    url = sdk.RelayUrl.parse(task["url"])
    client = (
        sdk.ClientBuilder()
        .authenticator(sdk.SignerAuthenticator(keys))
        .notification_channel_size(65_536)
        .build()
    )
    await client.add_relay(url)
    notifications = client.notifications()
    await client.connect(and_wait=timedelta(seconds=WAIT_S))
    wanted = sdk.Filter.from_json(json.dumps(task["filter"]))
    await client.subscribe(sdk.ReqTarget.auto([wanted]))
    said: dict[str, str | None] = {}
    sent: set[str] = set()
    for kind, content in task["publish"]:
        event = sdk.EventBuilder(sdk.Kind(kind), content).finalize(keys)
        output = await client.send_event(event, ok_timeout=timedelta(seconds=WAIT_S))
        said[str(kind)] = next(iter(output.failed.values()), None)
        if not output.failed:
            sent.add(event.id().to_hex())
    fetched = await client.fetch_events(
        sdk.ReqTarget.auto([wanted]), timeout=timedelta(seconds=WAIT_S)
    )
    live: set[str] = set()
    async with asyncio.timeout(WAIT_S):
        while not sent <= live:
            note = await notifications.next()
            if note is not None and note.is_message():
                message = note.message.as_enum()
                if message.is_event_msg():
                    live.add(message.event.id().to_hex())
    await client.shutdown()
    await asyncio.sleep(0.3)  # its threads may still be returning from callbacks
    return {
        "ok": said,
        "fetched": [json.loads(event.as_json()) for event in fetched],
        "live": sorted(live),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.loads(sys.stdin.readline())))), flush=True)
    os._exit(0)
