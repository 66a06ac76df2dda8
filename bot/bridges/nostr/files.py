"""Shell: the encrypted file of a message, fetched from wherever its sender put it.

The address is a stranger's word: see `destination`. What is connected to is the address that was
checked, each redirect is checked like the first, and of the answer nothing is believed: not its
length, not its type, not its encoding. No cookie, login or proxy is used. What came is decrypted in
memory and laid into the group's folder (`incoming`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Sequence

import httpx
import structlog

from bot.bridges.incoming import Incoming, NotKept
from bot.bridges.nostr.destination import Destination, NotPublic, Unresolved, resolve
from nips.nip17_files import TAG_BYTES, EncryptedFile
from nips.own.received import ReceivedFile
from nips.refusal import Malformed

MAX_FILE_BYTES = 25 << 20
MAX_REDIRECTS = 3
FETCHES_AT_ONCE = 3  # each has its file in memory, and once more while it is decrypted
DEADLINE_S = 60.0  # all attempts at one file together
PAUSES_S = (1.0, 3.0, 9.0)  # before the second, third and fourth attempt
CONNECT_S, SILENCE_S = 10.0, 20.0
# Not found: just sent, it may still be on its way to where we ask.
PASSING = frozenset({404, 408, 425, 429}) | frozenset(range(500, 600))

log = structlog.get_logger()


class NotTaken(Exception):
    """The file could not be had; the end of a sentence says why, for whoever reads the group. It
    holds no address, and no words of a server's."""


class _Passing(NotTaken):
    """It may be had a little later."""


class Files:
    """incoming: where files are laid. allowed: as in `destination`. trusted: the certificate
    authorities; None: the machine's."""

    def __init__(
        self,
        incoming: Incoming,
        allowed: Collection[str] = (),
        trusted: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._incoming, self._allowed = incoming, allowed
        self._trusted = trusted or trusted_roots()
        self._deadline_s, self._pauses_s = deadline_s, pauses_s
        self._fetching = asyncio.Semaphore(FETCHES_AT_ONCE)

    async def take(self, file: EncryptedFile, folder: str) -> tuple[ReceivedFile, str]:
        """Fetch a file into a group's folder; returns it, and what people may be shown as its
        name. Raises NotTaken."""
        async with self._fetching:
            content = await self._fetched(file)
            try:
                return await self._incoming.take(
                    folder, file.name, file.media_type, content, file.dimensions
                )
            except NotKept as error:
                raise NotTaken(str(error)) from error

    async def _fetched(self, file: EncryptedFile) -> bytes:
        """The decrypted file, from whichever of its addresses gives it."""
        if (file.n_bytes or 0) > MAX_FILE_BYTES + TAG_BYTES:
            raise NotTaken(_too_large())
        urls, problem = list(file.urls), NotTaken("it is nowhere")
        try:
            async with asyncio.timeout(self._deadline_s):
                for pause_s in (0.0, *self._pauses_s):
                    await asyncio.sleep(pause_s)
                    for url in tuple(urls):
                        try:
                            return await self._one(url, file)
                        except _Passing as error:
                            problem = error
                        except NotTaken as error:
                            problem = error
                            urls.remove(url)
                    if not urls:
                        break
        except TimeoutError:
            raise NotTaken(f"it did not come within {self._deadline_s:g} seconds") from problem
        raise problem

    async def _one(self, url: str, file: EncryptedFile) -> bytes:
        ciphertext = await self._get(url)
        try:
            return await asyncio.to_thread(file.open, ciphertext)
        except Malformed as error:
            raise NotTaken(str(error)) from error

    async def _get(self, url: str) -> bytearray:
        for _ in range(MAX_REDIRECTS + 1):
            try:
                # Attack: a server that is public redirects to one inside our network.
                to = await resolve(url, "https", self._allowed)
                found = await self._ask(httpx.URL(url), to)
            except NotPublic as error:
                raise NotTaken(str(error)) from error
            except Unresolved as error:
                raise _Passing(str(error)) from error
            except (httpx.InvalidURL, ValueError) as error:
                raise NotTaken("where it should be is not an address") from error
            if isinstance(found, bytearray):
                return found
            url = str(found)
        raise NotTaken("its server redirects without end")

    async def _ask(self, url: httpx.URL, to: Destination) -> bytearray | httpx.URL:
        """One request; returns the body, or where else it is said to be."""
        problem: httpx.HTTPError | None = None
        for address in to.addresses:
            try:
                return await self._ask_at(url, to, address)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                problem = error
            except httpx.HTTPError as error:
                raise _Passing("the connection to its server broke") from error
        if isinstance(_cause(problem), ssl.SSLCertVerificationError):
            raise NotTaken("its server's certificate is not to be believed") from problem
        raise _Passing("its server cannot be reached") from problem

    async def _ask_at(self, url: httpx.URL, to: Destination, address: str) -> bytearray | httpx.URL:
        # A client of its own for each request: nothing is carried from one server to another.
        async with (
            httpx.AsyncClient(
                verify=self._trusted,
                trust_env=False,  # Attack: a proxy of the environment would resolve the name anew
                follow_redirects=False,
                timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
            ) as client,
            client.stream(
                "GET",
                url.copy_with(host=address, port=to.port, fragment=None),
                headers={
                    "host": url.netloc.decode("ascii"),
                    # Attack: a file of 25 kB that is 25 GB once it is unpacked.
                    "accept-encoding": "identity",
                    "user-agent": "nostrclaw",
                    "accept": "*/*",
                },
                # Attack: the name means another address when it is looked up again.
                extensions={"sni_hostname": to.host},
            ) as response,
        ):
            if location := response.headers.get("location", "") if response.is_redirect else "":
                return url.join(location)
            if response.status_code != 200:
                kind = _Passing if response.status_code in PASSING else NotTaken
                raise kind(f"its server answers {response.status_code}")
            return await _body(response)


async def _body(response: httpx.Response) -> bytearray:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NotTaken("its server packs it in a way that was not asked for")
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_FILE_BYTES + TAG_BYTES:
        raise NotTaken(_too_large())
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        # Attack: a length that is not true, or none, and a body without end.
        if len(body) > MAX_FILE_BYTES + TAG_BYTES:
            raise NotTaken(_too_large())
    return body


def trusted_roots() -> ssl.SSLContext:
    """The machine's certificate authorities and those that come with httpx."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _cause(error: BaseException | None) -> BaseException | None:
    """What an error of httpx's was made of."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _too_large() -> str:
    return f"it is larger than {MAX_FILE_BYTES >> 20} MiB"
