"""bot/operate/published.py: the table, with what others may have put into it."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from bot.operate.published import table_of


def shown(**changes: Any) -> str:
    row = {
        "what": "note", "words": "Hello, world.", "draft": False, "at": 100,
        "link": "nostr:nevent1x", "relays": [],
    } | changes  # fmt: skip
    out = StringIO()
    Console(file=out, width=120).print(table_of([row], 160))
    return out.getvalue()


def relay(status: str, reason: str = "", url: str = "wss://a.example") -> dict[str, Any]:
    return {"url": url, "status": status, "reason": reason, "at": 5}


def test_what_is_shown_of_each() -> None:
    text = shown(relays=[relay("ok"), relay("failed", "blocked: no", "wss://b.example")])
    for words in ("note", "Hello, world.", "nostr:nevent1x", "1 min ago", "✅ a.example"):
        assert words in text
    assert "❌ b.example: blocked: no" in text
    assert "⏳ a.example\n" in shown(relays=[relay("pending", "error: not connected")]).replace(
        " \n", "\n"
    ).replace("  ", "")
    assert "not sent yet" in shown()
    assert "private relay alone" in shown(what="draft", draft=True)


def test_markup_and_escapes_are_words() -> None:
    # Attack: an agent's note, or a relay's reason, that paints over the table.
    text = shown(words="[red]Hi[/] \x1b[2Jthere", relays=[relay("failed", "[bold]no\x1b[H")])
    assert "[red]Hi[/] there" in text
    assert "[bold]no" in text
    assert "\x1b" not in text
    assert "\x1b" not in shown(relays=[relay("pending", url="wss://a\x1bc.example/x")])
