"""Markdown within a line: what is a sign, and what only looks like one."""

from __future__ import annotations

import pytest

from bot.bridges.signal.outward.inline import runs_of
from bot.bridges.signal.outward.styled_text import PLAIN, Run, Style, plain

BOLD, ITALIC, STRIKE, MONO = Style.BOLD, Style.ITALIC, Style.STRIKE, Style.MONOSPACE


def joined(runs: list[Run]) -> list[tuple[str, Style]]:
    found: list[tuple[str, Style]] = []
    for run in runs:
        if found and found[-1][1] == run.style:
            found[-1] = (found[-1][0] + run.text, run.style)
        else:
            found.append((run.text, run.style))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**b**", [("b", BOLD)]),
        ("__two words__", [("two words", BOLD)]),
        ("*i* _j_", [("i", ITALIC), (" ", PLAIN), ("j", ITALIC)]),
        ("***both***", [("both", BOLD | ITALIC)]),
        ("~~gone~~", [("gone", STRIKE)]),
        ("**a *b* c**", [("a ", BOLD), ("b", BOLD | ITALIC), (" c", BOLD)]),
        ("**a *b***", [("a ", BOLD), ("b", BOLD | ITALIC)]),
        ("*over\ntwo lines*", [("over\ntwo lines", ITALIC)]),
        ("(**b**), “*i*”!", [
            ("(", PLAIN), ("b", BOLD), ("), “", PLAIN), ("i", ITALIC), ("”!", PLAIN)
        ]),
        ("这是**重点**内容", [("这是", PLAIN), ("重点", BOLD), ("内容", PLAIN)]),
        ("`a*b*`", [("a*b*", MONO)]),
        ("`` a`b ``", [("a`b", MONO)]),
        ("**a `b` c**", [("a ", BOLD), ("b", BOLD | MONO), (" c", BOLD)]),
        (r"\*no\* snake\_case \`x\` \~ \# \|", [("*no* snake_case `x` ~ # |", PLAIN)]),
    ],
)  # fmt: skip
def test_signs(text: str, expected: list[tuple[str, Style]]) -> None:
    assert joined(runs_of(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4", "2 * 3 * 4", "a*b + c*d", "(a)*(b)*(c)", "α*β*γ", "x**2 + y**3", "5%*3%*2",
        "snake_case_name and other_name", "__init__ and __main__.py",
        "~/path and ~5 to ~6", "~~~", "a ~ b ~ c", r"C:\x and C:\*.txt", r"\\server\share\*",
        "*.py, foo/*.txt", "src/**/*.py and lib/**/*.ts", "**kwargs, *args", "4* hotel, 5* hotel",
        "* * *", "*****", "**", "`", "``", "a `b", "it's `fine", "rock'n'roll", "a | b || c",
        "[x] done [1] and (u)", "[a] (b)", "<tag> & <br>", "f(x)[0](y", "1 < 2 > 0",
        r"\(x\) \[y\] \d+\.\w", "https://x.y/a_b_c/_d_/*e", "!important",
    ],
)  # fmt: skip
def test_what_is_no_sign_comes_out_unharmed(text: str) -> None:
    assert joined(runs_of(text)) == [(text, PLAIN)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[label](https://x.y/z)", "label (https://x.y/z)"),
        ("[**b**](u)", "b (u)"),
        ("![alt](u.png)", "alt (u.png)"),
        ("[![alt](i.png)](https://x)", "alt (i.png) (https://x)"),
        ('[t](u "a title")', 't (u "a title")'),
        ("[t](<a b>)", "t (a b)"),
        ("[t](https://x/(y))", "t (https://x/(y))"),
        ("[https://x.y](https://x.y/)", "https://x.y"),
        ("[me@x.y](mailto:me@x.y)", "me@x.y"),
        ("[](u)", "u"),
        ("<https://x.y/_z_>", "https://x.y/_z_"),
        ("a[b](c)d", "ab (c)d"),
        ("**[t](https://x/)**", "t (https://x/)"),
        ("`[t](u)`", "[t](u)"),
        ("[a [b](c) d](e)", "a b (c) d (e)"),
    ],
)
def test_links_say_where_they_lead(text: str, expected: str) -> None:
    """Attack: a label that says one address, and a link that leads to another."""
    assert plain(runs_of(text)) == expected


def test_a_style_given_to_all_of_it() -> None:
    assert joined(runs_of("a *b*", BOLD)) == [("a ", BOLD), ("b", BOLD | ITALIC)]


@pytest.mark.parametrize(
    "piece", ["*a ", "`a``", "[a](", "![", "a_", "<https://", "\\", "](", "(*a*", "C:\\"]
)
def test_beginnings_without_an_end(piece: str) -> None:
    """Attack: a text of them; with time that grew as the square of it this would not end."""
    text = piece * (30_000 // len(piece))
    assert letters(plain(runs_of(text))) == letters(text)


@pytest.mark.parametrize("sign", ["*", "_"])
def test_a_long_sign_that_many_close(sign: str) -> None:
    """Attack: each of them closes a piece of it, and gives all that stands between a style."""
    text = sign * 30_000 + f"a{sign} " * 30_000
    assert plain(runs_of(text)) == text


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
