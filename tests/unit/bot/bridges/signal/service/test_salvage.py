"""Items out of what should be an array of them, and is none."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.service import salvage as module
from bot.bridges.signal.service.salvage import MAX_BROKEN, may_hold_items, salvage
from bot.operate.stand_ins import signal_envelopes as made
from tests.signal_service import ALICE, NUMBER

AT = 1_700_000_000_000
NOISE = "ERROR ReceiveHelper - Unknown error {see log} [1, 2]"
TRACE = 'Exception in thread "main" java.lang.Error: x\n\tat org.asamk.Main.main(Main.java:1)'


def item(text: str, n: int = 0) -> dict[str, Any]:
    return {"envelope": made.said(ALICE, text, AT + n), "account": NUMBER}


def line(text: str, n: int = 0) -> str:
    """As signal-cli prints it."""
    return json.dumps(item(text, n), ensure_ascii=False, separators=(",", ":"))


def joined(output: str) -> str:
    """As the service makes an array of what signal-cli printed."""
    return "[" + ",".join(output.strip("\n").split("\n")) + "]"


def texts(found: str) -> list[str]:
    return [it["envelope"]["dataMessage"]["message"] for it in salvage(found).items]


A, B, C = line("a"), line("b", 1), line("c", 2)
CUT = '{"envelope":{"sourceUuid":"x","dataMessage":{"message":"so'


@pytest.mark.parametrize(
    ("body", "found", "n_salvaged", "n_lost"),
    [
        ("[]", [], 0, 0),
        ("", [], 0, 0),
        (joined(f"{A}\n{B}\n"), ["a", "b"], 0, 0),
        (A, ["a"], 0, 0),  # over the websocket
        ('{"error":"x"}', [], 0, 0),
        ("[null,5,[],{}]", [], 0, 0),
        (joined(f"{A}\n{B}\n{NOISE}"), ["a", "b"], 2, 0),
        (joined(f"{NOISE}\n{A}\n{B}"), ["a", "b"], 2, 0),
        (joined(f"{A}\n{TRACE}\n{B}"), ["a", "b"], 2, 0),
        (joined(f"{NOISE}\n"), [], 0, 0),
        (f"{A}\n{B}\nError while closing", ["a", "b"], 2, 0),  # an error's text
        (f"{A}{B}", ["a", "b"], 2, 0),
        (f"  {A} \r\n {B}", ["a", "b"], 2, 0),
        (f"[{A},{B},{CUT}", ["a", "b"], 2, 1),  # the connection broke
        (f"{A}\n{CUT}\nprocess killed", ["a"], 1, 1),
        (joined(f"{CUT}\n{A}"), ["a"], 1, 1),
        (joined(f"{A}\n{CUT}\n{B}\n{CUT}"), ["a", "b"], 2, 2),
        (f"[{A},{B}", ["a", "b"], 2, 0),
        (f'[{A},{{"account":"{NUMBER}","envelope":NaN}}]', ["a"], 1, 1),
        (f"progress {A}", [], 0, 1),  # it begins in the midst of something else: counted
        ("[" * 100_000 + A, ["a"], 1, 0),
    ],
)
def test_what_is_whole_is_found_and_what_is_not_is_counted(
    body: str, found: list[str], n_salvaged: int, n_lost: int
) -> None:
    salvaged = salvage(body)
    assert texts(body) == found
    assert (salvaged.n_salvaged, salvaged.n_lost) == (n_salvaged, n_lost)


FORGED = line("send me the file", 9)


@pytest.mark.parametrize(
    "words",
    [
        FORGED,
        f"\n{FORGED}\n",
        f"[{FORGED},",
        f'","x":{FORGED}',
        f'"}}}},"account":"{NUMBER}"}},{FORGED}',
        f"\\\n{FORGED}",
        f'\\",{FORGED}',
        FORGED.replace('"', '\\"'),
    ],
)
@pytest.mark.parametrize("wreck", ["{0}", "[{0},{1}", "[{1},{0}]", "{1}\n{0}\n{2}", "[{0}"])
def test_words_that_look_like_an_item_are_words(words: str, wreck: str) -> None:
    """Attack: a sender writes an envelope of somebody else's, and hopes for a broken array."""
    body = wreck.format(line(words), CUT, NOISE)
    assert texts(body) == [words]


def test_a_complaint_that_quotes_an_item_is_no_item() -> None:
    assert texts(f"[{A},Could not parse: {FORGED}]") == ["a"]


def test_what_was_found_can_be_written_down() -> None:
    """Attack: half of a surrogate pair, which Java writes and no UTF-8 holds."""
    half = line("x").replace('"x"', '"\\ud83d"')
    (found,) = salvage(f"[{half}]").items
    assert "?" in orjson.dumps(found).decode()


@pytest.mark.parametrize(
    "bomb",
    [
        '{"account":' * 200_000,
        ',{"envelope":' * 200_000,
        '[{"a":' * 200_000,
        f',{{"envelope":"{"x" * 2_000}' * 500,
        '{"account":1' + "0" * 100_000 + ',"envelope":{}}',
        '{"account":"' * 100_000,
        "x" + "\n" * 1_000_000,
    ],
)
def test_a_bomb_is_over_soon(bomb: str) -> None:
    found = salvage(f"{A}\n{bomb}")
    assert [it["envelope"]["dataMessage"]["message"] for it in found.items] == ["a"]
    assert found.n_salvaged == 1


@pytest.mark.parametrize(
    "within",
    ['{"envelope":{"a":[' + "[]," * 50 + "\n", ',{"envelope":[0' * 5],
    ids=["lists", "objects"],
)
def test_what_never_ends_is_not_read_from_each_of_its_places(
    within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: objects within each other, and nobody else's work goes on while they are read."""
    n_read = 0
    decoder = json.JSONDecoder()

    class Counting:
        @staticmethod
        def raw_decode(text: str, at: int) -> tuple[object, int]:
            nonlocal n_read
            try:
                found, end = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                n_read += error.pos - at
                raise
            except RecursionError:
                n_read += len(text) - at
                raise
            n_read += end - at
            return found, end

    monkeypatch.setattr(module, "_DECODER", Counting)
    bomb = f"{A}\n{within * 400}"
    found = salvage(bomb)
    assert found.n_salvaged == 1
    assert n_read < 3 * len(bomb)


def test_after_so_many_broken_places_the_rest_is_counted() -> None:
    broken = "\n".join([CUT] * (MAX_BROKEN + 5))
    assert salvage(f"{broken}\n{A}").n_lost == MAX_BROKEN + 5 + 1


@pytest.mark.parametrize(
    ("error", "may"),
    [(f"{A}\nfailed", True), (CUT, True), ("User is not registered.", False), (NOISE, False)],
)
def test_an_errors_text_may_hold_items(error: str, may: bool) -> None:
    assert may_hold_items(error) is may


@given(
    st.lists(
        st.one_of(
            st.text(max_size=12).map(lambda text: ("item", text)),
            st.sampled_from([NOISE, TRACE, "", "]", "}", '"', "WARN x"]).map(lambda it: ("", it)),
        ),
        max_size=8,
    )
)
def test_every_whole_line_is_found_whatever_stands_between(lines: list[tuple[str, str]]) -> None:
    """Against the plain way: a line at a time."""
    printed = "\n".join(line(text) if kind else text for kind, text in lines)
    expected = [text for kind, text in lines if kind]
    assert texts(printed) == expected
    assert texts(joined(printed)) == expected
