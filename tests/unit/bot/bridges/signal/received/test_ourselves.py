"""Our own ACI, learnt from what comes in."""

from __future__ import annotations

from typing import Any

import pytest

from bot.bridges.signal.received.envelope import parse
from bot.bridges.signal.received.ourselves import own_aci
from bot.operate.stand_ins import signal_envelopes as made
from tests.signal_service import ALICE, BOB, NUMBER

AT, THEN = 1_700_000_000_000, 1_699_999_999_000
ME = made.Person("99999999-9999-4999-8999-999999999999", "Me", NUMBER)
HIDDEN = made.Person(ME.aci, "Me", "")


@pytest.mark.parametrize(
    ("envelope", "learnt"),
    [
        (made.synced(ME, "hi", ALICE, AT), ME.aci),
        (made.synced(HIDDEN, "hi", ALICE, AT), ME.aci),
        (made.synced(ALICE, "hi", BOB, AT), None),
        (made.said(ME, "to myself", AT), ME.aci),
        (made.said(ALICE, "\ufffc", AT, mentions=[made.mention(ME, 0)]), ME.aci),
        (made.said(ALICE, "\ufffc", AT, mentions=[made.mention(BOB, 0)]), None),
        (made.said(ALICE, "yes", AT, quote=made.quote(ME, THEN, "?")), ME.aci),
        (made.said(ALICE, "yes", AT, quote=made.quote(BOB, THEN, "?")), None),
        (made.reacted(ALICE, "👍", ME, THEN, AT), ME.aci),
        (made.reacted(ALICE, "👍", HIDDEN, THEN, AT), None),
        (made.edited(ALICE, "x", THEN, AT), None),
        (made.deleted(ALICE, THEN, AT), None),
        (made.typing(ALICE, AT), None),
    ],
)
def test_who_we_are(envelope: dict[str, Any], learnt: str | None) -> None:
    received = parse({"envelope": envelope, "account": NUMBER}, NUMBER)
    assert own_aci(received, NUMBER) == learnt
