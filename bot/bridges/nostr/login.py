"""Shell: logins to the public relays (NIP-42), signed elsewhere: how many, and what came of them.

Attack: a relay challenges without end. Each login is a signature, and those of a minute are limited
for all that the bot signs: it could not speak any more.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable

LOGINS, LOGIN_PERIOD_S = 6, 60.0  # of one relay; a connection that is made again needs one
MAX_REMEMBERED = 1_000

# Gives the signed kind 22242 for (relay, challenge) as JSON, or None to stay unauthenticated.
# Called whenever a relay challenges, from several at once; must not raise.
SignAuth = Callable[[str, str], Awaitable[str | None]]


class Logins:
    """failed: told of (relay, why) when the signer signs no login, or the relay takes none."""

    def __init__(self, sign: SignAuth, failed: Callable[[str, str], None]) -> None:
        self._sign, self._failed = sign, failed
        self._lately: dict[str, deque[float]] = {}
        self._under_way: dict[str, int] = {}
        self._sent: dict[str, str] = {}

    def is_under_way(self, url: str) -> bool:
        """Say whether a login to this relay is being signed."""
        return self._under_way.get(url, 0) > 0

    async def sign(self, url: str, challenge: str) -> str | None:
        """The answer to a challenge just received."""
        if not self._may(url):
            return None  # what it does not serve without one is found missing
        self._under_way[url] = self._under_way.get(url, 0) + 1
        try:
            signed = await self._sign(url, challenge)
        finally:
            self._under_way[url] -= 1
        if signed is None:
            self._failed(url, "it asks for a login, and the signer did not sign one")
            return None
        self._sent[json.loads(signed)["id"]] = url
        if len(self._sent) > MAX_REMEMBERED:
            del self._sent[next(iter(self._sent))]
        return signed

    def refused(self, event_id: str, reason: str) -> None:
        """Take a relay's OK false to any event."""
        if (url := self._sent.pop(event_id, None)) is not None:
            self._failed(url, reason or "it did not accept the login")

    def _may(self, url: str) -> bool:
        lately = self._lately.setdefault(url, deque(maxlen=LOGINS))
        if len(lately) == LOGINS and time.monotonic() - lately[0] < LOGIN_PERIOD_S:
            return False
        lately.append(time.monotonic())
        return True
