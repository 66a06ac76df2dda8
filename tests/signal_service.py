"""Signal's service for tests: the stand-in; see bot/operate/stand_ins/signal_service.py.

    async with a_service() as service:
        await service.push(said(ALICE, "hello", 1_700_000_000_000))
        received = httpx.get(f"{service.url}/v1/receive/{NUMBER}")

Envelopes are made by the functions of signal_envelopes, faults by those of signal_faults.
"""

from __future__ import annotations

import base64
from contextlib import AbstractAsyncContextManager

from bot.operate.stand_ins.signal_envelopes import Group, Person
from bot.operate.stand_ins.signal_service import SignalService, running

NUMBER = "+4915100000001"
ALICE = Person("11111111-1111-4111-8111-111111111111", "Alice Example", "+4915100000011")
BOB = Person("22222222-2222-4222-8222-222222222222", "Bob", "")  # he hides his number
FRIENDS = Group(base64.b64encode(bytes(range(32))).decode(), "Friends", (ALICE, BOB))


def a_service(
    mode: str = "normal", number: str | None = NUMBER, *, command_timeout_s: float = 120.0,
    version: str = "", port: int = 0,
) -> AbstractAsyncContextManager[SignalService]:  # fmt: skip
    """The stand-in. number: of its account; None or "": no phone is linked yet."""
    return running(
        mode, number or "", command_timeout_s=command_timeout_s, version=version, port=port
    )
