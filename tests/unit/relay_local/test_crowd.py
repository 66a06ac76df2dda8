"""How many connections there may be, and that who leaves makes room."""

from __future__ import annotations

import resource

import pytest

from relay_local.crowd import RESERVED_FILES, Crowd, tcp_connections


def test_an_address_has_so_many_and_makes_room_again() -> None:
    here = Crowd(max_connections=2)
    with here.from_address("10.0.0.1") as first, here.from_address("10.0.0.1") as second:
        with here.from_address("10.0.0.1") as third, here.from_address("10.0.0.2") as other:
            assert (first, second, third, other) == (True, True, False, True)
        with here.from_address("10.0.0.1") as third:  # one that was refused took no place
            assert not third
    with here.from_address("10.0.0.1") as first, here.from_address("10.0.0.1") as second:
        assert first
        assert second


def test_whoever_falls_makes_room_too() -> None:
    here = Crowd(max_connections=1)

    def fall() -> None:
        with here.from_address("10.0.0.1") as may:
            assert may
            raise ConnectionError

    for _ in range(3):
        with pytest.raises(ConnectionError):
            fall()


def test_a_unix_socket_is_no_address() -> None:
    here = Crowd(max_connections=1)
    with here.from_address(None) as first, here.from_address(None) as second:
        assert first
        assert second


def test_a_session_is_there_once() -> None:
    here = Crowd(max_connections=1)
    with here.of_session("a") as first, here.of_session("a") as second, here.of_session("b") as b:
        assert (first, second, b) == (True, False, True)
        with here.of_session("a") as third:  # the second one's end is not the first one's
            assert not third
    with here.of_session("a") as again:
        assert again


@pytest.mark.parametrize(("files", "most"), [(1_024, 768), (300, RESERVED_FILES)])
def test_the_parts_keep_their_descriptors(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert tcp_connections() == most
