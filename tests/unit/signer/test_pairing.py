"""signer/pairing.py: the one-time code."""

from __future__ import annotations

import json
import math

import pytest

from nips.refusal import Malformed
from signer.pairing import ALPHABET, LIFE_S, TRIES, Claim, Offer, claim, make
from tests.figures import dice

NOW = 1_800_000_000
# Dice: the code is in the tests' names, which every worker of a run has to know alike.
CODE, OFFER = make(dice("pairing").randbytes, NOW)


def test_a_code_has_forty_bits_and_no_confusable_letters() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET)
    assert math.log2(len(ALPHABET)) * (len(CODE) - 1) >= 40
    assert not set("0O1I") & set(ALPHABET)


def test_every_letter_comes_equally_often() -> None:
    given = iter(range(256))
    letters = "".join(
        make(lambda n: bytes(next(given) for _ in range(n)) if n == 8 else bytes(32), NOW)[0]
        for _ in range(32)
    ).replace("-", "")
    assert {letters.count(letter) for letter in ALPHABET} == {8}


def test_the_code_itself_is_not_kept() -> None:
    kept = json.dumps(OFFER.to_json())
    assert CODE not in kept
    assert CODE.replace("-", "") not in kept
    assert Offer.from_json(json.loads(kept)) == OFFER


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        CODE.lower(),
        f"  {CODE}\n",
        f"Hello, my code is {CODE}. Thanks!",
        CODE.replace("-", "–"),
        CODE.replace("-", "‑"),
    ],
)
def test_the_code_is_found_in_a_message(text: str) -> None:
    assert claim(OFFER, text, 0, NOW) is Claim.RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "What is this?",
        CODE.replace("-", ""),
        f"x{CODE}",
        f"{CODE}7",
        CODE[:-1],
        "1010-OOII",
    ],
)
def test_what_does_not_look_like_a_code_costs_no_try(text: str) -> None:
    assert claim(OFFER, text, 0, NOW) is Claim.NONE


def wrong(code: str) -> str:
    other = next(letter for letter in ALPHABET if letter != code[-1])
    return code[:-1] + other


def test_another_code_is_wrong() -> None:
    assert claim(OFFER, wrong(CODE), 0, NOW) is Claim.WRONG


def test_a_message_is_one_guess() -> None:
    # Attack: every code there is in one message.
    assert claim(OFFER, f"{wrong(CODE)} {CODE}", 0, NOW) is Claim.WRONG


@pytest.mark.parametrize(
    ("tries", "found"), [(0, Claim.RIGHT), (TRIES - 1, Claim.RIGHT), (TRIES, Claim.DEAD)]
)
def test_after_five_tries_it_is_dead(tries: int, found: Claim) -> None:
    assert claim(OFFER, CODE, tries, NOW) is found


@pytest.mark.parametrize(
    ("after_s", "found"), [(LIFE_S - 1, Claim.RIGHT), (LIFE_S, Claim.DEAD), (10**6, Claim.DEAD)]
)
def test_after_ten_minutes_it_is_dead(after_s: int, found: Claim) -> None:
    assert claim(OFFER, CODE, 0, NOW + after_s) is found


@pytest.mark.parametrize(
    "changes",
    [{"salt": "00"}, {"hash": None}, {"expires_at": "soon"}, {"tries_left": -1}, {"more": 1}],
)
def test_a_changed_file_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Malformed, match="pairing"):
        Offer.from_json(OFFER.to_json() | changes)
    with pytest.raises(Malformed, match="object"):
        Offer.from_json([])
