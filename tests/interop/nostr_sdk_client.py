"""nostr-sdk's NostrConnect as a client of our signer, which never authenticates to the relay.

Reads one JSON object from stdin, {uri, key, kind, forbidden, peer, payload}, and prints one: what
came of each call, errors as "error: …".
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import nostr_sdk as sdk

DEADLINE = timedelta(seconds=10)


async def outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except sdk.NostrSdkError as error:
        return f"error: {error}"


async def main() -> None:
    asked = json.loads(sys.stdin.read())
    sdk.uniffi_set_event_loop(asyncio.get_running_loop())
    keys = sdk.Keys.parse(asked["key"])
    uri = sdk.NostrConnectUri.parse(asked["uri"])
    signer = sdk.NostrConnect(uri, keys, DEADLINE, None)
    peer = sdk.PublicKey.parse(asked["peer"])
    bot = await outcome(signer.get_public_key_async())
    told: dict[str, Any] = {"bot": bot if isinstance(bot, str) else bot.to_hex()}
    if not isinstance(bot, str):
        for name in ("kind", "forbidden"):
            builder = sdk.EventBuilder(sdk.Kind(asked[name]), "from nostr-sdk")
            event = await outcome(builder.finalize_async(signer))
            told[name] = event if isinstance(event, str) else json.loads(event.as_json())
        told["encrypted"] = await outcome(signer.nip44_encrypt_async(peer, "geheim"))
        told["decrypted"] = await outcome(signer.nip44_decrypt_async(peer, asked["payload"]))
        told["nip04"] = await outcome(signer.nip04_encrypt_async(peer, "geheim"))
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await asyncio.sleep(0.3)
    os._exit(0)


asyncio.run(main())
