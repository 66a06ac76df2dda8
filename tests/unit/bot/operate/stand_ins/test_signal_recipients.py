"""bot/operate/stand_ins/signal_recipients.py; tests/signal asks the service the same."""

from __future__ import annotations

import base64

import pytest

from bot.operate.stand_ins.signal_recipients import InvalidRecipient, Recipients, sorted_recipients

INTERNAL = base64.b64encode(b"x" * 32).decode()
GROUP = "group." + base64.b64encode(INTERNAL.encode()).decode()
ACI = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(
    ("given", "sorted_"),
    [
        ([GROUP], Recipients("group", (INTERNAL,))),
        (["+49 151", ACI], Recipients("number", ("+49 151", ACI))),
        (["alice.11"], Recipients("name", ("alice.11",))),
        (["group.x!"], Recipients("name", ("group.x!",))),  # a name may begin so
    ],
)
def test_who_is_who(given: list[str], sorted_: Recipients) -> None:
    assert sorted_recipients(given) == sorted_


@pytest.mark.parametrize(
    "given",
    [
        [GROUP, GROUP], [GROUP, ACI], [GROUP, "alice.11"], [ACI, "alice.11"],
        ["group.YWJj"], ["group.this is too long"],
    ],
)  # fmt: skip
def test_who_is_nobody(given: list[str]) -> None:
    with pytest.raises(InvalidRecipient):
        sorted_recipients(given)
