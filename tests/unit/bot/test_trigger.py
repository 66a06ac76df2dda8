"""Is the assistant called? Names of many scripts, edges of words, texts made to take for ever."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import trigger
from bot.trigger import MAX_CHARS, names, says
from nips.key import SecretKey
from nips.nip19 import encode_bech32, encode_nprofile, encode_npub

BOT, OTHER = (SecretKey(bytes([n]) * 32).public for n in (1, 2))
RELAYS = ["wss://relay.example", "wss://other.example/with/a/long/path"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("@Claw", "@Claw"),
        ("@claw hello", "@Claw"),
        ("hello @CLAW", "@claw"),
        ("well, @Claw: hello", "@Claw"),
        ("(@Claw)", "@Claw"),
        ("thanks @Claw!!", "@Claw"),
        ("@Claw's turn", "@Claw"),
        ("a\n@Claw\nb", "@Claw"),
        ("@Claw@Claw", "@Claw"),
        ("x@Claw, no: @Claw", "@Claw"),
        ("@Ada Lovelace?", "@Ada Lovelace"),
        ("@ada   lovelace", "@Ada Lovelace"),
        ("@ada\u00a0LOVELACE", "@Ada Lovelace"),
        ("@Ada\nLovelace", "@Ada  Lovelace"),
        ("@zoë", "@Zoë"),
        (unicodedata.normalize("NFD", "hej @Zoë!"), unicodedata.normalize("NFC", "@Zoë")),
        (unicodedata.normalize("NFC", "hej @Zoë!"), unicodedata.normalize("NFD", "@Zoë")),
        ("@STRASSE", "@Straße"),
        ("@ΣΊΣΥΦΟΣ", "@Σίσυφος"),
        ("@Клешня, привет", "@клешня"),
        ("@小爪你好", "@小爪"),
        ("你好@小爪", "@小爪"),
        ("@Claw你好", "@Claw"),
        ("こんにちは@クロウさん", "@クロウ"),
        ("@สมชายช่วยหน่อย", "@สมชาย"),
        ("@مخلب!", "@مخلب"),
        ("\u2068@Claw\u2069 hello", "@Claw"),
        ("@\u2068Claw\u2069 hello", "@Claw"),
        ("@\uf9b7", "@\uf9b7"),  # which is another letter when composed
        ("@🦞 hello", "@🦞"),
        ("@🦞\ufe0f hello", "@🦞"),
        ("hey claw", "claw"),
        ("!ask me", "!ask"),
        ("see (a+)+$ here", "(a+)+$"),
    ],
)
def test_it_is_called(text: str, word: str) -> None:
    assert says(text, word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "@Claw"),
        ("claw", "@Claw"),
        ("@Claws", "@Claw"),
        ("@Claw2", "@Claw"),
        ("@Claw_", "@Claw"),
        ("x@Claw", "@Claw"),
        ("me@claw.example", "@Claw"),
        ("@ Claw", "@Claw"),
        ("@Cl aw", "@Claw"),
        ("@AdaLovelace", "@Ada Lovelace"),
        ("x@Ada Lovelace", "@Ada Lovelace"),
        ("@Ada Lovelaces", "@Ada Lovelace"),
        ("@Ada not Lovelace", "@Ada Lovelace"),
        ("@Zoe\u0308", "@Zoe"),
        ("@Клешнями", "@клешня"),
        ("disclaw", "claw"),
        ("anything", ""),
        ("@Claw", " "),
    ],
)
def test_it_is_not_called(text: str, word: str) -> None:
    assert not says(text, word)


words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=12)
edges = st.sampled_from(["", " ", "\n", "(", ")", ":", "…", "“", "-", "/", "@", "."])


@given(words, edges, edges, st.sampled_from([str.lower, str.upper, str.swapcase, str.title]))
def test_any_name_is_heard_between_any_edges_in_any_case(
    name: str, left: str, right: str, case: object
) -> None:
    assert callable(case)
    written = case(f"@{name}")
    # Some letters have no way back from another case: those are other letters, not this name.
    if written.casefold() == f"@{name}".casefold():
        assert says(f"well {left}{written}{right} then", f"@{name}")


@given(
    st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True), st.from_regex(r"[A-Za-z0-9_]", fullmatch=True)
)
def test_no_longer_word_is_taken_for_a_name(name: str, more: str) -> None:
    assert not says(f"hello @{name}{more}", f"@{name}")
    assert not says(f"hello {more}@{name}", f"@{name}")


@pytest.mark.parametrize(
    "text",
    [
        encode_npub(BOT),
        f"nostr:{encode_npub(BOT)} hello",
        f"hello,nostr:{encode_npub(BOT).upper()}!",
        encode_nprofile(BOT, []),
        f"hi nostr:{encode_nprofile(BOT, RELAYS)}, are you there?",
        # The fields may stand in any order (NIP-19): here the relay first.
        encode_bech32("nprofile", b"\x01\x0ewss://a.sample\x00\x20" + bytes.fromhex(BOT)),
        f"{encode_npub(OTHER)} and {encode_npub(BOT)}",
    ],
)
def test_it_is_named(text: str) -> None:
    assert names(text, BOT)
    assert not names(text, SecretKey(b"\3" * 32).public)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        encode_npub(OTHER),
        encode_npub(BOT)[:-1],
        encode_npub(BOT) + "q",
        encode_nprofile(OTHER, RELAYS),
        encode_bech32("nprofile", b"\x01\x0ewss://a.sample\x00\x20" + bytes.fromhex(OTHER)),
        "nprofile1" + "p" * 100,
        BOT,
    ],
)
def test_it_is_not_named(text: str) -> None:
    assert not names(text, BOT)


HOSTILE = {
    "one letter": "a" * MAX_CHARS,
    "signs": "@" * MAX_CHARS,
    "nearly the name": "@claw1" * (MAX_CHARS // 6),
    "nearly a long word": "@aaa" * (MAX_CHARS // 4),
    "accents": "\u0301\u0323" * (MAX_CHARS // 2),
    "spaces": " \u00a0" * (MAX_CHARS // 2),
    "growing letters": "\u0390" * MAX_CHARS,
    "npubs": "npub1" * (MAX_CHARS // 5),
    "an endless nprofile": "nprofile1p" + "q" * MAX_CHARS,
    "many nprofiles": ("nprofile1p" + "q" * 990 + " ") * (MAX_CHARS // 1000),
    "names and space": ("@ada" + " " * 50) * (MAX_CHARS // 54),
    "longer than is read": "@claw1" * MAX_CHARS,
}
WORDS = [
    "@Claw",
    "@Ada Lovelace of London",
    "a" * 200,
    "@" * 200,
    ("@aaa" * 50)[:198],
    "(a+)+$",
    "ab" * 100,
    "(.*)*" * 40,
]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("word", WORDS, ids=[word[:8] for word in WORDS])
def test_no_text_takes_long(text: str, word: str) -> None:
    """Attack: a message that keeps the router busy, so that nobody else is answered. Counted is
    the processor's time, of which a busy machine takes no more."""
    taken_s = []
    for _ in range(3):
        began_s = time.thread_time()
        says(text, word)
        names(text, BOT)
        taken_s.append(time.thread_time() - began_s)
    assert min(taken_s) < 0.05


def test_what_stands_behind_the_end_of_what_is_read_calls_nobody() -> None:
    assert says("x " * 1_000 + "@Claw", "@Claw")
    assert not says("x " * MAX_CHARS + "@Claw", "@Claw")
    assert says("@Claw\u0301 " * 10 + "@Claw", "@Claw")
    assert not says("@Claw\u0301 " * (trigger.MAX_LOOKS + 1) + "@Claw", "@Claw")
