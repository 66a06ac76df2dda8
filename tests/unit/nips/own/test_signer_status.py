"""nips/own/signer_status.py: what is written is read again; anything else is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.kinds import Kind
from nips.own.signer_status import SignerStatus, parse, template
from nips.refusal import Malformed

ROUTER = "aa" * 32
AWAY = template(SignerStatus(True, 1_767_225_600), ROUTER, "It is away.", 1_767_225_640)


@pytest.mark.parametrize("away", [True, False])
def test_it_is_read_as_written(away: bool) -> None:
    status = SignerStatus(away, 1_767_225_600)
    made = template(status, ROUTER, "words", 1_767_225_640)
    assert (made.kind, made.pubkey, made.content) == (30315, ROUTER, "words")
    assert parse(made) == status


@pytest.mark.parametrize(
    ("name", "value"),
    [("d", "relays"), ("status", "gone"), ("since", "-1"), ("since", "1e3"), ("since", "9" * 19)],
)
def test_a_wrong_tag_is_refused(name: str, value: str) -> None:
    tags = tuple((name, value) if tag[0] == name else tag for tag in AWAY.tags)
    with pytest.raises(Malformed):
        parse(replace(AWAY, tags=tags))


@pytest.mark.parametrize("name", ["d", "status", "since"])
def test_a_missing_or_doubled_tag_is_refused(name: str) -> None:
    without = tuple(tag for tag in AWAY.tags if tag[0] != name)
    for tags in (without, (*AWAY.tags, (name, "x"))):
        with pytest.raises(Malformed):
            parse(replace(AWAY, tags=tags))


def test_another_kind_is_refused() -> None:
    with pytest.raises(Malformed):
        parse(replace(AWAY, kind=Kind.APP_DATA))
