"""Shell: where somebody else's words may make us connect.

A 10050 list, or the address of a file, is written by its sender, who could name an address inside
our network (server-side request forgery). So what is not configured must be encrypted and at a
public address, unless the owner allows that very host.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal
from urllib.parse import urlsplit

PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}
MAX_ADDRESSES = 4  # of one name that are tried
TRANSLATED = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address is its last four bytes

Scheme = Literal["wss", "https"]


class NotPublic(Exception):
    """Nothing is connected to there; the message says why, without the address."""


class Unresolved(Exception):
    """There is no such name now."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom to ask for, and at which of the addresses that were checked."""

    host: str
    port: int
    addresses: tuple[str, ...]


async def resolve(url: str, scheme: Scheme, allowed: Collection[str] = ()) -> Destination:
    """Look up the name in a `url` and check every address that it has.

    allowed: hosts as `host` or `host:port`, lower case, IPv6 in brackets, that may be private and
    need no encryption. Whoever connects must use the addresses given here: resolved once more, the
    name could mean others (DNS rebinding). Raises NotPublic and Unresolved.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        raise NotPublic("not an address") from None
    is_allowed = _is_allowed(host, port, allowed)
    schemes = (scheme, scheme.removesuffix("s")) if is_allowed else (scheme,)
    if parts.scheme not in schemes or not host:
        raise NotPublic(f"only {scheme}:// addresses are used")
    if "@" in parts.netloc:
        raise NotPublic("nobody logs in with a name in the address")
    # Attack: `127.0.0.1\x.example` and `127.0.0.%31` are names without an address here, and
    # 127.0.0.1 to who reads them as browsers do, and connects.
    if set(parts.netloc) & set("\\%"):
        raise NotPublic("not an address")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unresolved("its server has no address now") from None
    addresses = tuple(dict.fromkeys(str(address[0]) for *_, address in found))
    # Every address: one private address among public ones is how rebinding begins.
    if not is_allowed and not all(map(_is_public, addresses)):
        raise NotPublic("its address is not a public one")
    return Destination(host, port, addresses[:MAX_ADDRESSES])


async def why_not_public(url: str, allowed: Collection[str] = ()) -> str | None:
    """Say why `url` is not a relay at a public address; None when it is. Resolves the name."""
    try:
        await resolve(url, "wss", allowed)
    except NotPublic as error:
        return str(error)
    except Unresolved:
        pass  # the connection itself fails, and is tried again later
    return None


def _is_allowed(host: str, port: int, allowed: Collection[str]) -> bool:
    name = f"[{host}]" if ":" in host else host
    return bool(host) and (name in allowed or f"{name}:{port}" in allowed)


def _is_public(text: str) -> bool:
    address = _inside(ip_address(text.partition("%")[0]))
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Attack: 127.0.0.1 as an IPv6 address: mapped, or as a tunnel or a translator writes it."""
    if isinstance(address, IPv4Address):
        return address
    if address in TRANSLATED:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address
