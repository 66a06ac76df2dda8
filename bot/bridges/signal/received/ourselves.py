"""Pure: our own ACI, learnt from what comes in: our number is configured, our ACI is not.

Source: signal-cli names an ACI and a number side by side where it knows both.
"""

from __future__ import annotations

from bot.bridges.signal.received.envelope import Edited, Ignored, Reacted, Received, Said
from bot.bridges.signal.received.mentions import Mention
from bot.bridges.signal.received.parts import Target


def own_aci(received: Received, account: str) -> str | None:
    """Our ACI, where this tells it: what another device of ours sent, or where we are meant."""
    match received:
        case Ignored(own_aci=aci):
            return aci
        case Edited(said=said):
            return own_aci(said, account)
        case Said(mentions=mentions, quote=quote):
            meant: list[Mention | Target] = [*mentions, *([quote.target] if quote else [])]
            return next((it.aci for it in meant if it.number == account and it.aci), None)
        case Reacted(target=target):
            return target.aci if target.number == account else None
        case _:
            return None
