"""`nostrclaw relays`: the table as a terminal shows it."""

import io
import json
import time
from typing import Any

from rich.console import Console

from bot.commands.facts import RelayFacts, RelaysFacts, SetAsideFacts
from bot.commands.replies import relays
from bot.operate.relays import drawn

NOW = int(time.time())


def shown(facts: RelaysFacts) -> str:
    reply = relays(facts, NOW)
    answer: dict[str, Any] = {"ok": reply.ok, "text": reply.text, "data": reply.data}
    out = io.StringIO()
    answer = json.loads(json.dumps(answer))  # as it comes from the assistant
    Console(file=out, width=140, force_terminal=False).print(drawn(answer, NOW))
    return out.getvalue()


def test_a_row_for_each_relay_and_what_waits() -> None:
    one = RelayFacts(
        "wss://one.example", "listening", "", NOW - 90, NOW, NOW - 5, NOW - 3, 41, 2, 7
    )
    two = RelayFacts("wss://two.example", "deaf", "no answer to a REQ within 10 s", NOW - 4_000)
    aside = SetAsideFacts("ab" * 32, "NotForUs: no", NOW - 70)
    text = shown(RelaysFacts((one, two), NOW - 1, {"forwarded": 3, "set_aside": 1}, (aside,), 2, 1))
    first = next(line for line in text.splitlines() if "one.example" in line)
    assert first.split() == [
        "wss://one.example", "listening", "1", "min", "5", "s", "ago", "3", "s", "ago,", "41", "ms",
        "2", "7", "0",
    ]  # fmt: skip
    assert "deaf" in text
    assert "no answer to a REQ within 10 s" in text
    assert "1 h 6 min" in text
    assert "3 messages taken, 0 of strangers, 1 set aside; 2 on their way out, 1 for people" in text
    assert "set aside 1 min ago: abababab, NotForUs: no" in text


def test_no_word_of_a_relay_is_obeyed_by_the_terminal() -> None:
    """Attack: escape sequences in a CLOSED, and markup."""
    bad = RelayFacts("wss://x.example", "refused", "\x1b]0;pwned\x07[red]no[/red]", NOW)
    text = shown(RelaysFacts((bad,), NOW, {}))
    assert "\x1b" not in text
    assert "[red]no[/red]" in text


def test_before_anything_is_known_it_says_so() -> None:
    assert "ask again" in shown(RelaysFacts((), None, {}))
