"""What waits to be shown is bounded, whatever an agent does while nobody takes it."""

from __future__ import annotations

from secrets import token_bytes

from agent_image.agent.observer import MAX_TEXT_BYTES, MAX_WAITING, Observer
from nips.key import SecretKey
from nips.own.frame import Told, parse
from relay_local.client import Caller, Link


def waiting(observer: Observer) -> list[tuple[str, dict[str, str]]]:
    return [(one.kind, one.payload) for one in observer._waiting]


async def test_text_that_streams_is_put_together() -> None:
    observer = Observer()
    for word in ("It ", "is ", "", "Tuesday."):
        observer.wrote(word)
    observer.show("acp_read", type="tool_call", tool="recall", text="{}")
    observer.wrote("And ")
    observer.wrote("now?")
    assert waiting(observer) == [
        ("acp_read", {"type": "text", "text": "It is Tuesday."}),
        ("acp_read", {"type": "tool_call", "tool": "recall", "text": "{}"}),
        ("acp_read", {"type": "text", "text": "And now?"}),
    ]


async def test_of_a_long_text_nothing_is_left_out() -> None:
    observer, text = Observer(), "Größe 🦩 und kein Ende. " * 500
    for begin in range(0, len(text), 7):
        observer.wrote(text[begin : begin + 7])
    frames = [payload["text"] for _, payload in waiting(observer)]
    assert "".join(frames) == text
    assert len(frames) == -(-len(text.encode()) // MAX_TEXT_BYTES)
    whole = Observer()
    whole.wrote(text)
    assert waiting(whole) == waiting(observer)


async def test_of_too_many_the_oldest_are_left_out_and_counted() -> None:
    observer = Observer()
    for number in range(3 * MAX_WAITING):
        observer.show("acp_write", text=str(number))
    assert [payload["text"] for _, payload in waiting(observer)] == [
        str(number) for number in range(2 * MAX_WAITING, 3 * MAX_WAITING)
    ]
    assert observer._n_left_out == 2 * MAX_WAITING


async def test_long_texts_are_cut_to_what_a_frame_holds() -> None:
    observer = Observer()
    for _ in range(100):
        observer.wrote("Größe 🦩 " * 100)
    observer.show("acp_write", tool="x", text="\ud800" * 5_000)
    observer.show("acp_write", a="y" * 5_000, b="z")
    for kind, payload in waiting(observer):
        assert all(len(text.encode()) <= MAX_TEXT_BYTES for text in payload.values())
        told = Told(1, kind, payload)  # type: ignore[arg-type]
        assert parse(told.to_json()) == told


async def test_a_signer_that_is_away_holds_up_nothing() -> None:
    """There is no relay at the other end: what is shown is given up, the next one is tried."""
    key = SecretKey.generate(token_bytes)
    caller = Caller(Link("unix:/nowhere", [], None), key, key.public)
    observer = Observer()
    observer.show("turn_started")
    observer.show("turn_completed")
    assert await observer._send(caller, 0.05)
    assert observer._n_left_out == 1
    assert await observer._send(caller, 0.05)
    await observer.end(caller)  # nothing was shown, so the end of it is not either
    assert (observer._n_left_out, waiting(observer)) == (2, [])
