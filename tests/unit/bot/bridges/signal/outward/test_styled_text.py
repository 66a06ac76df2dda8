"""Text with styles: what is written is read by the service as exactly that text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.outward.styled_text import (
    PLAIN,
    Run,
    Style,
    parts,
    plain,
    utf16_units,
    written,
)
from bot.operate.stand_ins.signal_text import styled as as_the_service_reads

BOLD, ITALIC, STRIKE, MONO = Style.BOLD, Style.ITALIC, Style.STRIKE, Style.MONOSPACE
NAMES = {
    "BOLD": BOLD, "ITALIC": ITALIC, "STRIKETHROUGH": STRIKE, "MONOSPACE": MONO,
}  # fmt: skip

styles = st.sampled_from(
    [PLAIN, BOLD, ITALIC, STRIKE, MONO, BOLD | ITALIC, BOLD | STRIKE, ITALIC | STRIKE, MONO | BOLD]
)
texts = st.text(st.sampled_from("*`~|\\_ab 🎉é\n."), max_size=8)
runs_ = st.lists(st.builds(Run, texts, styles), max_size=8)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], ""),
        ([Run("plain")], "plain"),
        ([Run("2*3 ~ `x` a|b _c_")], r"2\*3 \~ \`x\` a\|b _c_"),
        ([Run("C:\\x and \\*")], r"C:\x and \\*"),
        ([Run("b", BOLD), Run("i", ITALIC)], "**bi**"),  # side by side the stars would be one sign
        ([Run("b", BOLD), Run(" "), Run("i", ITALIC)], "**b** *i*"),
        ([Run("bi", BOLD | ITALIC)], "***bi***"),
        ([Run("a ", BOLD), Run("b", BOLD | ITALIC), Run(" c", BOLD)], "**a *b* c**"),
        ([Run("a ", BOLD), Run("b", BOLD | ITALIC)], "**a b**"),
        ([Run("a", BOLD), Run("b", BOLD | STRIKE)], "**a~b~**"),
        ([Run("x", STRIKE), Run("y", BOLD | STRIKE)], "~x~**~y~**"),
        ([Run("a", BOLD), Run("c", MONO), Run("b", BOLD)], "**a**`c`**b**"),
        ([Run("x", MONO | BOLD)], "`x`"),
        # A backslash before a sign would make it a character.
        ([Run("C:\\", MONO)], "`C:`\\"),
        ([Run("\\", MONO)], "\\"),
        ([Run("C:\\dir\\", MONO), Run(".")], "`C:\\dir`\\."),
        ([Run("a\\"), Run("b", BOLD)], "a\\b"),
        ([Run("a*"), Run("b", BOLD)], r"a\*b"),
        ([Run("a*"), Run("b", MONO)], r"a\*`b`"),
        ([Run("b*", BOLD)], r"**b**\*"),
    ],
)
def test_signs_stand_where_the_service_reads_them(runs: list[Run], expected: str) -> None:
    assert written(runs) == expected
    assert as_the_service_reads(expected).text == plain(runs)


@given(runs_)
def test_no_character_is_lost_and_no_style_is_invented(runs: list[Run]) -> None:
    """Attack: an agent's text that moves a style, or hides words, for who reads it on Signal."""
    text = plain(runs)
    read = as_the_service_reads(written(runs))
    assert read.text == text
    each = [run.style for run in runs for char in run.text for _ in range(utf16_units(char))]
    beside_stars = {at for at, style in enumerate(each) if style & (BOLD | ITALIC)}
    for found in read.ranges:
        start, length, name = found.split(":")
        for at in range(int(start), int(start) + int(length)):
            # Stars beside stars become one style.
            assert NAMES[name] in each[at] or (name in ("BOLD", "ITALIC") and at in beside_stars)


@given(runs_, st.integers(30, 80))
def test_parts_are_whole_and_short_enough(runs: list[Run], most: int) -> None:
    cut = parts(runs, most)
    assert "".join(plain(part) for part in cut).split() == plain(runs).split() or (
        "".join(plain(runs).split()) == "".join("".join(map(plain, cut)).split())
    )
    for part in cut:
        assert utf16_units(written(part)) <= most
        assert as_the_service_reads(written(part)).text == plain(part)


def test_a_cut_is_at_a_paragraph_s_end_and_closes_what_is_open() -> None:
    paragraphs = [Run(f"{number} " + "word " * 15, BOLD) for number in range(4)]
    runs = [piece for paragraph in paragraphs for piece in (Run("\n\n"), paragraph)]
    cut = parts(runs[1:], 200)
    assert [plain(part)[0] for part in cut] == ["0", "2"]
    assert all(written(part).startswith("**") and written(part).endswith("**") for part in cut)


def test_a_style_that_is_cut_goes_on() -> None:
    first, *others = parts([Run("x" * 100, MONO)], 40)
    assert written(first) == "`" + "x" * 38 + "`"
    assert "".join(plain(part) for part in others) == "x" * 62


def test_long_characters_count_twice() -> None:
    assert [plain(part) for part in parts([Run("🎉" * 30)], 40)] == ["🎉" * 20, "🎉" * 10]


def test_many_runs_in_many_parts() -> None:
    """Attack: every run looked at for every part would take a minute, and the bot waits for it."""
    runs = [Run("a"), Run("b", Style.BOLD)] * 100_000
    cut = parts(runs, 4_000)
    assert len(cut) > 100
    assert "".join(map(plain, cut)) == plain(runs)
