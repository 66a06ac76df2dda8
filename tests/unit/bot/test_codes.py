"""Codes that people type: of letters that no code of the signer's has."""

from hypothesis import given
from hypothesis import strategies as st

from bot.codes import CODE, LETTERS, code_of


@given(st.lists(st.text(), min_size=1, max_size=4), st.integers(0, 3))
def test_a_code_is_six_letters_and_no_hex(parts: list[str], attempt: int) -> None:
    code = code_of(*parts, attempt=attempt)
    assert CODE.fullmatch(code)
    assert set(code) <= set(LETTERS)
    assert set(LETTERS).isdisjoint("0123456789abcdef")
    assert code == code_of(*parts, attempt=attempt)


def test_another_attempt_is_another_code() -> None:
    assert len({code_of("stranger", "nostr", "x", attempt=n) for n in range(50)}) == 50


def test_the_parts_are_kept_apart() -> None:
    assert code_of("a", "bc") != code_of("ab", "c")
