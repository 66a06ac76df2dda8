"""Shell: what nostr-sdk asks and tells us of the public relays, while `pool` holds it.

The SDK calls these from threads of its own, on the pool's event loop; none of them may raise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import nostr_sdk as sdk

from bot.bridges.nostr.login import Logins

# Takes an event: a relay's address as `spelled`, the subscription, the event's JSON.
Take = Callable[[str, str, str], Awaitable[None]]
# Told of a connection's end, by the relay's address as `spelled`.
Fell = Callable[[str], None]


def spelled(address: sdk.RelayUrl) -> str:
    """The same for all spellings of an address that the SDK takes for one relay."""
    return str(address).rstrip("/")


class Admission(sdk.AdmitPolicy):  # type: ignore[misc]  # the SDK has no types
    """Asked about every event, one after the other of each relay; the relay waits meanwhile."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._take, self._no = take, sdk.AdmitStatus.rejected(None)

    async def admit_connection(self, relay_url: sdk.RelayUrl) -> sdk.AdmitStatus | None:
        """Called by the SDK."""
        return sdk.AdmitStatus.success()

    async def admit_event(
        self, relay_url: sdk.RelayUrl, subscription_id: str, event: sdk.Event
    ) -> sdk.AdmitStatus | None:
        """Called by the SDK."""
        await self._take(spelled(relay_url), subscription_id, event.as_json())
        return self._no


class Statuses(sdk.HandleMonitorNotification):  # type: ignore[misc]
    """Told of every connection's coming and going."""

    def __init__(self, fell: Fell) -> None:
        super().__init__()
        self._fell = fell

    async def relay_status_changed(
        self, relay_url: sdk.RelayUrl, status: sdk.RelayStatus
    ) -> None:  # fmt: skip
        """Called by the SDK."""
        if status in (sdk.RelayStatus.DISCONNECTED, sdk.RelayStatus.TERMINATED):
            self._fell(spelled(relay_url))


class Authenticator(sdk.Authenticator):  # type: ignore[misc]
    """NIP-42 only. The SDK is given no signer: it can ask for no other signature.

    named: what the relays that are listened to are called, by their addresses as `spelled`.
    """

    def __init__(self, logins: Logins, named: Mapping[str, str]) -> None:
        super().__init__()
        self._logins, self._named = logins, named

    async def make_auth_event(self, relay_url: sdk.RelayUrl, challenge: str) -> sdk.Event | None:
        """Called by the SDK on a challenge."""
        url = self._named.get(spelled(relay_url))
        if url is None:
            return None  # a visited relay learns who its visitor is from nobody
        signed = await self._logins.sign(url, challenge)
        return None if signed is None else sdk.Event.from_json(signed)
