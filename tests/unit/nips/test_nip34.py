"""nips/nip34.py: a proposed change is read back, and nobody else's is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips import nip34
from nips.key import SecretKey
from nips.nip34 import MAX_PATCH_BYTES, parse
from nips.refusal import Malformed

ROUTER, OTHER = (SecretKey(bytes([n]) * 32) for n in (3, 4))
MAIN, ELSEWHERE = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2))
JOB = "ab" * 32


def test_it_is_read_back() -> None:
    made = nip34.template(ROUTER.public, MAIN, JOB, "Why", "--- a/x\n", 7)
    event = made.sign(ROUTER, bytes(32))
    found = parse(event, ROUTER.public, MAIN)
    assert (found.id, found.title, found.text, found.job) == (event.id, "Why", "--- a/x\n", JOB)
    assert ("t", "root") in made.tags
    assert made.values("a") == [f"30617:{ROUTER.public}:nostrclaw"]
    for author, group in ((OTHER.public, MAIN), (ROUTER.public, ELSEWHERE)):
        with pytest.raises(Malformed):
            parse(event, author, group)
    with pytest.raises(Malformed):
        parse(replace(event, content="--- a/y\n"), ROUTER.public, MAIN)
    borrowed = replace(made.sign(OTHER, bytes(32)), pubkey=ROUTER.public)
    with pytest.raises(Malformed):
        parse(borrowed, ROUTER.public, MAIN)


@pytest.mark.parametrize(
    ("title", "text"),
    [("", "x"), ("a\nb", "x"), ("x" * 201, "x"), ("x", " \n"), ("x", "x" * (MAX_PATCH_BYTES + 1))],
)
def test_what_cannot_be_proposed(title: str, text: str) -> None:
    with pytest.raises(Malformed):
        nip34.template(ROUTER.public, MAIN, JOB, title, text, 7)
