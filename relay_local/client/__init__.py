"""The one door to the relay for every other room.

async with connect("unix:/run/…/relay.sock", keys=[key]) as link:
    ok = await link.publish(event)
    async with link.subscribe([Filter(kinds=frozenset({9}))], after_seq=0) as stream:
        async for item in stream:
            match item: ...            # Delivery | Caught | Lost
"""

from relay_local.client.caller import Caller
from relay_local.client.link import SOCKET_URL, Link, Login, Unanswered, connect
from relay_local.client.stream import Caught, Delivery, Lost, Stream

__all__ = [
    "SOCKET_URL",
    "Caller",
    "Caught",
    "Delivery",
    "Link",
    "Login",
    "Lost",
    "Stream",
    "Unanswered",
    "connect",
]
