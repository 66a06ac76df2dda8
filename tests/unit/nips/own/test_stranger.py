"""The record of a stranger: what it says, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nips.event import Template
from nips.key import SecretKey
from nips.own import stranger as strangers
from nips.own.stranger import KEPT_S, Stranger
from nips.refusal import Malformed
from tests.unit.nips.own.test_signal_id import ACI, GROUP

ROUTER, ANN, BOB = (SecretKey(bytes([n]) * 32).public for n in (1, 2, 3))
SHOWN = Stranger("ghijkl", "nostr", ANN, "Ann (Nostr)", "shown", 1_700_000_000)


@pytest.mark.parametrize("status", strangers.STATUSES)
def test_there_and_back(status: strangers.Status) -> None:
    found = replace(SHOWN, status=status)
    assert strangers.parse(strangers.template(found, ROUTER, 5), ROUTER) == found


def test_a_room_is_its_people() -> None:
    room = replace(SHOWN, id=",".join(sorted((ANN, BOB))))
    assert strangers.parse(strangers.template(room, ROUTER, 5), ROUTER).counterparts == tuple(
        f"nostr:{key}" for key in sorted((ANN, BOB))
    )


def test_a_group_of_signals_is_one() -> None:
    group = replace(SHOWN, network="signal", id=GROUP, name="Family")
    assert strangers.parse(strangers.template(group, ROUTER, 5), ROUTER) == group
    assert (group.is_group, group.counterparts) == (True, (f"signal:{GROUP}",))
    person = replace(group, id=ACI)
    assert strangers.parse(strangers.template(person, ROUTER, 5), ROUTER) == person
    assert (person.is_group, SHOWN.is_group) == (False, False)


def test_whoever_was_shown_is_forgotten_and_whoever_was_denied_is_not() -> None:
    assert strangers.template(SHOWN, ROUTER, 5).tag("expiration") == str(SHOWN.at + KEPT_S)
    denied = replace(SHOWN, status="denied")
    assert strangers.template(denied, ROUTER, 5).tag("expiration") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "ann"},
        {"id": f"{ANN},x"},
        {"id": ""},
        {"status": "friend"},
        {"status": 1},
        {"status": None},
        {"at": "now"},
        {"at": -1},
        {"name": 5},
        {"network": None},
        {"network": "signal"},
        {"network": "signal", "id": "+4915112345678"},
        {"network": "signal", "id": f"{ACI},{ACI}"},
        {"text": "what they wrote"},
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(wrong: dict[str, object]) -> None:
    made = strangers.template(SHOWN, ROUTER, 5)
    content = json.dumps(json.loads(made.content) | wrong)
    with pytest.raises(Malformed):
        strangers.parse(replace(made, content=content), ROUTER)


def test_somebody_elses_word_counts_nothing() -> None:
    made = strangers.template(SHOWN, ANN, 5)
    with pytest.raises(Malformed):
        strangers.parse(made, ROUTER)
    other = Template(ROUTER, 5, made.kind, (("d", "group/x"),), made.content)
    with pytest.raises(Malformed):
        strangers.parse(other, ROUTER)
