"""Shell: where a stranger's list of relays may make us connect.

A 10050 list is written by its owner, who could name an address inside our network (server-side
request forgery). So relays that are not configured must be `wss://` at a public address.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit


async def why_not_public(url: str) -> str | None:
    """Say why `url` is not a relay at a public address; None when it is. Resolves the name."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        return "not an address"
    if parts.scheme != "wss" or not host:
        return "only wss:// relays are used outside the configured ones"
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None  # no such name now: the connection itself fails, and is tried again later
    # Every address: one private address among public ones is how rebinding begins.
    if not all(_is_public(str(address[0])) for *_, address in found):
        return "its address is not a public one"
    return None


def _is_public(text: str) -> bool:
    address = ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global and not address.is_multicast
