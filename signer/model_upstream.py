"""Shell: one call to a configured provider, and what may go wrong with it.

The only file that sends a provider's key anywhere: to that provider's own address, in the header
of its style. Redirects are not followed, proxies of the environment are not used, and of the
caller's headers only those go along that change the meaning of the request.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from signer.model_providers import Provider
from signer.model_refusal import HttpRefusal

ANTHROPIC_VERSION = "2023-06-01"
CONNECT_S = 10.0
WRITE_S = 60.0
MAX_CALLS = 64  # at once, over all sessions
# What a caller may say besides the body. `Host`, cookies, authorisations, forwarded addresses and
# everything hop-by-hop are ours to set, or nobody's.
REQUEST_HEADERS = frozenset({"anthropic-version", "anthropic-beta"})
MAX_HEADER_CHARS = 1_000
# What a provider may say besides the body: of cookies, keys and hosts an agent needs nothing.
RESPONSE_HEADERS = frozenset(
    {"content-type", "retry-after", "retry-after-ms", "request-id", "x-request-id"}
    | {"x-should-retry"}
)
RESPONSE_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")


class UpstreamFailed(Exception):
    """The provider gave no answer that could be passed on."""

    def __init__(self, refusal: HttpRefusal, *, reached: bool) -> None:
        """reached: whether the request may have got there, and so may have cost something."""
        super().__init__(refusal.sentence)
        self.refusal, self.reached = refusal, reached


class Upstream:
    """The way to one provider. `key`: bytes of its API key, empty where it takes none."""

    def __init__(self, provider: Provider, key: bytes, trusted: ssl.SSLContext) -> None:
        self.provider, self.key = provider, key
        self._client = httpx.AsyncClient(
            verify=trusted,
            trust_env=False,  # no proxy from the environment, no .netrc
            follow_redirects=False,  # Attack: a redirect that carries the key to another host
            timeout=httpx.Timeout(provider.stall_s, connect=CONNECT_S, write=WRITE_S),
            limits=httpx.Limits(max_connections=MAX_CALLS, max_keepalive_connections=8),
        )

    @property
    def is_locked(self) -> bool:
        """Say whether its key has not been handed over yet."""
        return not self.key and not self.provider.keyless

    async def close(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def call(
        self, path: str, body: bytes, given: Mapping[str, str | None]
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and yield the answer's head; its body is read with `pieces`.

        given: the caller's headers that may go along, by name. Raises UpstreamFailed.
        """
        headers = self._headers(given)
        request = self._client.build_request(
            "POST", self.provider.address(path), content=body, headers=headers
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._failed(error) from error
        try:
            self._check(response)
            yield response
        finally:
            await response.aclose()

    async def pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UpstreamFailed."""
        try:
            async for piece in response.aiter_raw():
                yield piece
        except httpx.HTTPError as error:
            raise self._failed(error) from error

    def _headers(self, given: Mapping[str, str | None]) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",  # what passes must be readable: usage, and the key
            "user-agent": "nostrclaw",
        }
        if self.provider.style == "anthropic":
            headers["anthropic-version"] = ANTHROPIC_VERSION
            headers |= {
                name: value
                for name, value in given.items()
                if name in REQUEST_HEADERS and value and _is_plain(value)
            }
        if self.key:
            if self.provider.style == "anthropic":
                headers["x-api-key"] = self.key.decode("ascii")
            else:
                headers["authorization"] = f"Bearer {self.key.decode('ascii')}"
        return headers

    def _check(self, response: httpx.Response) -> None:
        name = self.provider.name
        if response.is_redirect or 300 <= response.status_code < 400:
            raise UpstreamFailed(
                HttpRefusal(
                    502, f"{name} redirects, which is not followed. Correct its address"
                ),
                reached=False,
            )  # fmt: skip
        if response.status_code in (401, 403, 407):
            # Its words may repeat the key, in part or in another form.
            raise UpstreamFailed(
                HttpRefusal(
                    502,
                    f"{name} does not accept the key that is stored for it "
                    f"({response.status_code}). Its owner can test it: nostrclaw model test {name}",
                    hopeless=True,
                ),
                reached=False,
            )
        if response.headers.get("content-encoding", "identity") != "identity":
            raise UpstreamFailed(
                HttpRefusal(502, f"{name} sent an answer in an encoding that was not asked for"),
                reached=True,
            )

    def _failed(self, error: httpx.HTTPError) -> UpstreamFailed:
        name = self.provider.name
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return UpstreamFailed(
                    HttpRefusal(502, f"{name} cannot be reached", retry_after_s=5), reached=False
                )
            case httpx.PoolTimeout():
                return UpstreamFailed(
                    HttpRefusal(503, f"too many calls to {name} are under way", retry_after_s=2),
                    reached=False,
                )
            case httpx.TimeoutException():
                return UpstreamFailed(
                    HttpRefusal(
                        504, f"{name} was silent for {self.provider.stall_s} s and was given up"
                    ),
                    reached=True,
                )
            case httpx.RemoteProtocolError():
                return UpstreamFailed(
                    HttpRefusal(502, f"{name} broke off, or did not speak HTTP"), reached=True
                )
            case _:
                return UpstreamFailed(
                    HttpRefusal(502, f"the connection to {name} broke"), reached=True
                )


def shown_headers(response: httpx.Response, key: bytes) -> list[tuple[str, str]]:
    """Those of a provider's headers that a caller gets."""
    secret = key.decode("ascii")
    return [
        (name, value)
        for name, value in response.headers.items()
        if (name in RESPONSE_HEADERS or name.startswith(RESPONSE_PREFIXES))
        and _is_plain(value)
        and not (secret and secret in value)
    ]


def trusted_roots() -> ssl.SSLContext:
    """The machine's certificate authorities and those that come with httpx."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _is_plain(value: str) -> bool:
    return len(value) <= MAX_HEADER_CHARS and value.isascii() and value.isprintable()
