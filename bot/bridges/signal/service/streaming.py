"""Shell: the Signal service's websocket (json-rpc mode), one text for each message received.

The service hands a message to whoever listens at that moment, and drops it where nobody takes it
at once: read without waiting. Source: the service's own code, api/api.go handleSignalReceive,
client/jsonrpc2.go ReceiveData.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from bot.bridges.signal.service.shapes import Unreachable

OPEN_S = 20.0
PING_S, PONG_S = 20.0, 20.0
CLOSE_S = 2.0
MAX_MESSAGE_BYTES = 4 * 2**20
MAX_FRAMES = 16  # read ahead of us, each of which may be so large; `Ahead` takes them at once


class _Direct(connect):
    """Attack: a redirect takes us, and our number, somewhere else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def stream(
    url: str, trusted: ssl.SSLContext | None, opened: Callable[[], None]
) -> AsyncGenerator[str, None]:
    """What comes, until the service ends it. trusted: for wss. opened: called when it is open.

    Raises Unreachable when it cannot be opened.
    """
    try:
        connection = await _Direct(
            url,
            ssl=trusted,
            proxy=None,
            compression=None,  # Attack: a frame of some kB that is some GB
            user_agent_header="nostrclaw",
            open_timeout=OPEN_S,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            close_timeout=CLOSE_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_FRAMES,
        )
    except InvalidStatus as error:
        if error.response.status_code != 200:
            raise Unreachable("The Signal service opens no websocket.") from error
        # It was started anew in another mode and took the request for a poll: what it handed out
        # is here and nowhere else.
        yield (error.response.body or b"").decode("utf-8", "replace")
        return
    except (OSError, TimeoutError, InvalidHandshake, InvalidMessage) as error:
        raise Unreachable("The Signal service opens no websocket.") from error
    opened()
    try:
        async for frame in connection:
            if isinstance(frame, str):
                yield frame
    except ConnectionClosed:
        return
    finally:
        await connection.close()
