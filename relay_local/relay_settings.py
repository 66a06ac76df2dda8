"""Shell: what a relay is started with, and that it may not be able to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nips.key import SecretKey
from nips.own.roles import Roles
from relay_local.limits import Limits


class CannotStart(Exception):
    """The relay cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What a relay is started with.

    data: its folder. host, port: where it listens, port 0 for a free one. unix: the socket for
    the house's own parts; more_unix: further ones, each of whom its folder belongs to. sessions:
    the folder for containers' sockets. urls: further addresses that clients may authenticate to,
    such as one behind a proxy. public: open to everybody. metrics: a loopback address and port
    where Prometheus may read.
    """

    data: Path
    key: SecretKey
    host: str = "127.0.0.1"
    port: int = 0
    unix: Path | None = None
    more_unix: tuple[Path, ...] = ()
    roles: Roles | None = None
    owner: str | None = None
    sessions: Path | None = None
    urls: tuple[str, ...] = ()
    public: bool = False
    version: str = "0"
    limits: Limits = field(default_factory=Limits)
    metrics: tuple[str, int] | None = None
