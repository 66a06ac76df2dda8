"""One request, and what is certain when no answer comes."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Awaitable, Callable

import pytest

from bot.bridges.signal.service.shapes import ServiceError, Uncertain, Unreachable
from bot.bridges.signal.service.transport import Answer, Transport, plain_url
from tests.unit.bot.bridges.signal.raw_server import a_raw_server, whole

Ask = Callable[[Transport], Awaitable[Answer]]
ENDLESS = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 100_000
PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")


def reading(transport: Transport) -> Awaitable[Answer]:
    return transport.read("/v1/about", 10.0, max_bytes=1_000)


def acting(transport: Transport) -> Awaitable[Answer]:
    return transport.act("POST", "/v2/send", b'{"a":1}', 10.0)


def a_closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


async def test_what_is_asked_and_what_comes_back() -> None:
    async with a_raw_server(lambda _: whole(b"hello")) as server:
        transport = Transport(server.url + "/")
        answer = await transport.read("/v1/receive/%2B491", 10.0, {"a": "b c"})
        assert answer == Answer(200, b"hello", True)
        assert (answer.text, answer.is_success) == ("hello", True)
        assert await acting(transport) == answer
        await transport.close()
    asked, done = (it.decode().lower() for it in server.asked)
    assert asked.startswith("get /v1/receive/%2b491?a=b+c http/1.1\r\n") or "a=b%20c" in asked
    assert done.startswith("post /v2/send http/1.1\r\n")
    assert done.endswith('\r\n\r\n{"a":1}')
    assert "accept-encoding: identity" in asked
    assert "cookie" not in asked


@pytest.mark.parametrize("ask", [reading, acting])
async def test_without_a_connection_nothing_was_done(ask: Ask) -> None:
    with pytest.raises(Unreachable):
        await ask(Transport(f"http://127.0.0.1:{a_closed_port()}"))
    with pytest.raises(Unreachable):
        await ask(Transport("http://nowhere.invalid"))


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 2",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        whole(gzip.compress(b"x" * 10_000_000), "200 OK", "Content-Encoding: gzip"),
    ],
)
async def test_a_broken_answer_leaves_open_what_was_done(reply: bytes) -> None:
    async with a_raw_server(lambda _: reply) as server:
        with pytest.raises(ServiceError) as asked:
            await reading(Transport(server.url))
        assert type(asked.value) is ServiceError  # nothing can have been done
        with pytest.raises(Uncertain):
            await acting(Transport(server.url))


async def test_no_answer_in_time_leaves_it_open_too() -> None:
    async with a_raw_server(lambda _: None) as server:
        transport = Transport(server.url)
        with pytest.raises(ServiceError) as asked:
            await transport.read("/v1/about", 0.05)
        assert type(asked.value) is ServiceError
        with pytest.raises(Uncertain, match=r"0\.05 seconds"):
            await transport.act("POST", "/v2/send", b"{}", 0.05)


async def test_an_answer_without_end_has_one() -> None:
    """Attack: the service, or who stands before it, fills our memory."""
    async with a_raw_server(lambda _: ENDLESS) as server:
        answer = await reading(Transport(server.url))
        assert answer == Answer(200, b"x" * 1_000, False)


@pytest.mark.parametrize("ask", [reading, acting])
@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect", "308 Permanent"])
async def test_a_redirect_is_not_followed(ask: Ask, status: str) -> None:
    """Attack: it takes our messages somewhere else."""
    async with a_raw_server(lambda _: whole(b"")) as other:
        moved = whole(b"", status, f"Location: {other.url}/v2/send")
        async with a_raw_server(lambda _: moved) as server:
            answer = await ask(Transport(server.url))
        assert 300 <= answer.status < 400
        assert other.asked == []


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: it reads every message."""
    async with (
        a_raw_server(lambda _: whole(b"proxy")) as proxy,
        a_raw_server(lambda _: whole(b"service")) as server,
    ):
        for name in PROXIES:
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await acting(Transport(server.url))).content == b"service"
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("https://signal.example/api/", "https://signal.example/api"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_services_address(url: str, plain: str) -> None:
    assert plain_url(url) == plain


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://x",
        "http://",
        "http://a:b@c",
        "http://a/?b",
        "http://a/#b",
        "http://a b",
        "http://a:99999",
        "http://[",
        "file:///etc/passwd",
        "unix:/run/x",
    ],
)
def test_what_is_no_address_of_the_service(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        plain_url(url)
