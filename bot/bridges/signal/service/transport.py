"""Shell: one request to the Signal service, and what is certain when no answer comes.

Each request has a connection of its own: one that was kept open and has died since would leave it
open whether something was done. Redirects and proxies are nothing that the service needs: they are
not followed and not used.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from bot.bridges.signal.service.shapes import ServiceError, Uncertain, Unreachable

CONNECT_S = 5.0
MAX_ANSWER_BYTES = 8 * 2**20
HEADERS = {
    "accept": "*/*",
    # Attack: an answer of some kB that is some GB once it is unpacked.
    "accept-encoding": "identity",
    "user-agent": "nostrclaw",
}
_HOST = re.compile(rb"[A-Za-z0-9._:-]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. is_whole: whether `content` is all of it."""

    status: int
    content: bytes
    is_whole: bool

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Transport:
    """The way to the service at `url`. Raises ValueError where that is no plain address."""

    def __init__(self, url: str) -> None:
        self.url = plain_url(url)
        self.trusted = trusted_roots() if self.url.startswith("https:") else None
        self._client = httpx.AsyncClient(
            verify=self.trusted or False,  # False: no connection of it has TLS
            trust_env=False,  # Attack: a proxy of the environment reads every message
            follow_redirects=False,  # Attack: a redirect takes our messages somewhere else
            headers=HEADERS,
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def read(
        self,
        path: str,
        within_s: float,
        query: Mapping[str, str] | None = None,
        *,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Ask for something. Raises ServiceError; Unreachable where it was not even asked."""
        request = self._client.build_request("GET", self.url + path, params=query)
        return await self._ask(request, within_s, max_bytes, ServiceError)

    async def act(self, method: str, path: str, body: bytes, within_s: float) -> Answer:
        """Have something done. body: JSON. Raises Unreachable, or Uncertain."""
        headers = {"content-type": "application/json"}
        request = self._client.build_request(method, self.url + path, content=body, headers=headers)
        return await self._ask(request, within_s, MAX_ANSWER_BYTES, Uncertain)

    async def _ask(
        self, request: httpx.Request, within_s: float, max_bytes: int, broken: type[ServiceError]
    ) -> Answer:
        try:
            async with asyncio.timeout(within_s):
                response = await self._client.send(request, stream=True)
                try:
                    content, is_whole = await _body(response, max_bytes)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable("The Signal service cannot be connected to.") from error
        except TimeoutError as error:
            sentence = f"The Signal service did not answer within {within_s:g} seconds."
            raise broken(sentence) from error
        except httpx.HTTPError as error:
            raise broken("The connection to the Signal service broke.") from error
        return Answer(response.status_code, content, is_whole)


async def _body(response: httpx.Response, max_bytes: int) -> tuple[bytes, bool]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("packed, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        # Attack: a length that is not true, or none, and a body without end.
        if len(body) > max_bytes:
            return bytes(body[:max_bytes]), False
    return bytes(body), True


def plain_url(url: str) -> str:
    """The address without its last slash. Raises ValueError where there is more in it than host,
    port and path: a login there would be shown wherever the address is.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"not an address: {error}") from None
    if parsed.scheme not in {"http", "https"}:
        raise ValueError("the service's address begins with http:// or https://")
    if not _HOST.fullmatch(parsed.raw_host) or (parsed.port or 0) > 65_535:
        raise ValueError("the service's address has no host, or no port, that can be one")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ValueError("the service's address holds host, port and path, and nothing else")
    return str(parsed).rstrip("/")


def trusted_roots() -> ssl.SSLContext:
    """The machine's certificate authorities and those that come with httpx."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
