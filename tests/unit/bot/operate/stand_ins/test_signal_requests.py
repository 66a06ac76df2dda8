"""bot/operate/stand_ins/signal_requests.py"""

from __future__ import annotations

import pytest

from bot.operate.stand_ins.signal_requests import SEND, read


def test_what_is_null_is_not_given_and_what_is_unknown_is_not_read() -> None:
    assert read(b'{"message": "a", "number": null, "colour": 3}', SEND) == {"message": "a"}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"3", b'{"message": 3}', b'{"recipients": "a"}',
        b'{"recipients": [1]}', b'{"quote_timestamp": "1"}', b'{"quote_timestamp": true}',
        b'{"quote_timestamp": 1.5}', b'{"view_once": 1}', b'{"mentions": [3]}',
        b'{"mentions": [{"start": "0"}]}', b"\xff",
    ],
)  # fmt: skip
def test_what_is_invalid(body: bytes) -> None:
    assert read(body, SEND) is None
