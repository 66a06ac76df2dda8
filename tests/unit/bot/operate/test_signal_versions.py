"""What is thought of a Signal service by what it says of itself."""

from __future__ import annotations

import pytest

from bot.operate.signal_versions import in_words, judged, read_version

V = ("v1", "v2")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.97", (0, 97)), ("0.100", (0, 100)), ("0.98-pre", (0, 98)), ("v1.2.3", (1, 2)),
        ("unset", None), ("", None), ("0.97 rm -rf", None), ("0." + "9" * 9, None),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(text: str, version: tuple[int, int] | None) -> None:
    assert read_version(text) == version


@pytest.mark.parametrize(
    ("mode", "version", "versions", "word"),
    [
        ("native", "0.96", V, "0.97 is the oldest"),
        ("native", "0.9", V, "0.97 is the oldest"),
        ("native", "0.97", ("v1",), "no v2"),
        ("", "0.97", V, "MODE=native"),
        ("json", "0.97", V, "not known here"),
    ],
)
def test_what_is_of_no_use(mode: str, version: str, versions: tuple[str, ...], word: str) -> None:
    found = judged(mode, version, versions)
    assert word in (found.refusal or "")


@pytest.mark.parametrize(
    ("mode", "version", "words"),
    [
        ("native", "0.97", []),
        ("native", "0.100", []),
        ("native", "unset", ["does not tell its version"]),
        ("normal", "0.100", ["Java"]),
        ("json-rpc", "0.100", ["lets go of messages"]),
        ("json-rpc", "unset", ["does not tell its version", "lets go of messages"]),
    ],
)
def test_what_is_better_otherwise(mode: str, version: str, words: list[str]) -> None:
    found = judged(mode, version, V)
    assert found.refusal is None
    assert len(found.warnings) == len(words)
    assert all(word in said for word, said in zip(words, found.warnings, strict=True))


def test_versions_in_words() -> None:
    assert (in_words((0, 100)), in_words(None)) == ("0.100", "not told")
