"""What a relay says, before anybody else reads it."""

import pytest

from bot.bridges.nostr.notes import MAX_REASON_CHARS, plain


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("blocked: not on the list", "blocked: not on the list"),
        ("näin ei käy 👋", "näin ei käy 👋"),
        ("x" * 1_000_000, "x" * MAX_REASON_CHARS),
        ('no\ntimestamp=1 level=info event="owner paired"',
         'no timestamp=1 level=info event="owner paired"'),
        ("\x1b]52;c;cm0gLXJm\x07", " ]52;c;cm0gLXJm "),
        ("\x9b31m\u202e", " 31m "),
    ],
)  # fmt: skip
def test_a_relays_words_are_short_and_obeyed_by_no_terminal(said: str, kept: str) -> None:
    assert plain(said) == kept
