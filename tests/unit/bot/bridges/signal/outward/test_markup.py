"""An agent's Markdown as a reader on Signal sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.outward.markup import styled
from bot.bridges.signal.outward.styled_text import plain, written
from bot.operate.stand_ins.signal_text import styled as as_the_service_reads


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("", ""),
        ("hello", "hello"),
        ("# Title\ntext", "**Title**\ntext"),
        ("## A *b* `c` ##", "**A *b* **`c`"),
        ("# About C#", "**About C#**"),
        ("#hashtag", "#hashtag"),
        ("- a\n* b\n+ c", "• a\n• b\n• c"),
        ("- a\n  - **b**\n    goes on", "• a\n  • **b**\n    goes on"),
        ("1. a\n2) b", "1. a\n2) b"),
        ("- [ ] open\n- [x] done", "• [ ] open\n• [x] done"),
        ("> quoted **b**\n> more", "> quoted **b**\n> more"),
        ("> - item\n> ## head", "> • item\n> **head**"),
        ("---", "---"),
        ("* * *", "\\* \\* \\*"),
        ("a\n***", "a\n\\*\\*\\*"),
        ("a\n\nb\n\n\nc", "a\n\nb\n\n\nc"),
        ("\n\na  \nb\n", "a\nb"),
        ("a\r\nb", "a\nb"),
        ("*over\ntwo*", "*over\ntwo*"),
        ("*not\n\nover two*", "\\*not\n\nover two\\*"),
        ("- *not\n- over two*", "• \\*not\n• over two\\*"),
        # Code.
        ("```python\nx = a*b\n```\nend", "`x = a\\*b`\nend"),
        ("```\n# no head\n- no bullet\n```", "`# no head\n- no bullet`"),
        ("~~~\na\n~~~", "`a`"),
        ("````\n```\n````", "`\\`\\`\\``"),
        ("  ```sh\n  ls\n    -l\n  ```", "`ls\n  -l`"),
        ("```\nnever *closed*", "`never \\*closed\\*`"),
        ("```why is this\nnever closed", "why is this\n`never closed`"),
        ("```a title=b\nx\n```", "a title=b\n`x`"),
        ("```one line```", "`one line`"),
        ("```\n```", ""),
        # Tables stay lines.
        ("| a | b |\n|---|:-:|\n| 1 | *2* |\nend", "**a \\| b**\n1 \\| *2*\nend"),
        ("a | b\n--|--\n1 | 2", "**a \\| b**\n1 \\| 2"),
        ("a | b\nc", "a \\| b\nc"),
        ("a | b\n---\nc", "a \\| b\n---\nc"),
        # What the words are made of.
        ("a \0*b*", "a *b*"),
    ],
)
def test_what_a_reader_sees(markdown: str, expected: str) -> None:
    assert written(styled(markdown)) == expected


pieces = st.sampled_from(
    ["*", "**", "_", "__", "~~", "`", "``", "\\", "|", "- ", "# ", "> ", "1. ", "[", "]", "(", ")",
     "!", "<", ">", " ", "  ", "\n", "\n\n", "a", "bc", "Ä", "🎉", "字", "1", ":", "/", "https://x",
     "C:\\", "|-|", "| a |"]
)  # fmt: skip


@given(st.lists(pieces, max_size=25).map("".join))
def test_no_word_is_lost(markdown: str) -> None:
    """Attack: an agent's text of which a reader on Signal sees another than the owner does."""
    seen = as_the_service_reads(written(styled(markdown))).text
    assert seen == plain(styled(markdown))
    if "](" not in markdown:  # a label that is its own address stands once
        assert letters(seen) == letters(markdown)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_at_all(text: str) -> None:
    assert letters(as_the_service_reads(written(styled(text))).text) == letters(text)


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
