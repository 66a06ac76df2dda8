"""Shell: one question to a model in OpenAI's dialect, asked again where that may help.

A limit of rate is waited out for as long as its `retry-after` and our patience go; a provider that
broke is asked a second time; one that falls silent is given up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing

from agent_image.agent.backends import BackendFailed
from agent_image.agent.backends.chat_stream import Endless, Reply, ReplyReader
from agent_image.agent.model import ModelRefused, Models, ModelUnavailable

PATH = "/v1/chat/completions"
STALL_S = 330.0  # the model proxy gives up before, and says which provider it was
PATIENCE_S = 120.0
FIRST_PAUSE_S, LONGEST_PAUSE_S, LEAST_PAUSE_S = 2.0, 30.0, 0.2
MAX_SENTENCE_CHARS = 300
RATE_LIMITED, GATEWAY_TIMEOUT = 429, 504
UNFIT = frozenset({400, 413, 422})


class Unfit(Exception):
    """The request was refused as it is: too long, or not of the form that this server wants."""


class Chat:
    """wrote: is called with what the model writes, as it comes. stall_s: the longest silence
    between two events. patience_s: how long one question may take with all its repetitions before
    there is no other."""

    def __init__(
        self,
        models: Models,
        model: str,
        wrote: Callable[[str], None],
        stall_s: float = STALL_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._models, self._model, self._wrote = models, model, wrote
        self._stall_s, self._patience_s = stall_s, patience_s

    async def ask(self, fields: Mapping[str, object]) -> Reply:
        """The answer to one question. fields: its body without the model.

        Raises Unfit, with the provider's sentence, and BackendFailed.
        """
        until_s = time.monotonic() + self._patience_s
        pause_s, has_broken = FIRST_PAUSE_S, False
        while True:
            retry_after_s: int | None = None
            try:
                return await self._once(fields)
            except TimeoutError:
                raise self.failed(f"was silent for {self._stall_s:g} s") from None
            except Endless:
                raise self.failed("did not come to an end") from None
            except ModelUnavailable as error:
                reason, may_ask_again = str(error), not has_broken
                has_broken = True
            except ModelRefused as error:
                if error.status in UNFIT:
                    raise Unfit(error.sentence[:MAX_SENTENCE_CHARS]) from error
                reason, retry_after_s = error.sentence, error.retry_after_s
                may_ask_again = error.status == RATE_LIMITED
                if error.status >= 500 and error.status != GATEWAY_TIMEOUT:
                    may_ask_again, has_broken = not has_broken, True
            # A provider that says "at once" again and again is not asked without end.
            wait_s = pause_s if retry_after_s is None else max(retry_after_s, LEAST_PAUSE_S)
            if not may_ask_again or time.monotonic() + wait_s > until_s:
                raise self.failed(f"gave no answer: {reason[:MAX_SENTENCE_CHARS]}")
            await asyncio.sleep(wait_s)  # nothing tells us when the provider is well again
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def failed(self, what: str) -> BackendFailed:
        """The exception for a model that did this."""
        return BackendFailed(f"The language model {self._model} {what}.")

    async def _once(self, fields: Mapping[str, object]) -> Reply:
        reader = ReplyReader()
        asked = {"model": self._model, **fields}
        async with aclosing(self._models.events(PATH, asked)) as events:
            while True:
                async with asyncio.timeout(self._stall_s):
                    event = await anext(events, None)
                if event is None:
                    break
                self._wrote(reader.feed(event))
        reply = reader.reply()
        if reply.stop is None:
            raise ModelUnavailable("its answer broke off")
        return reply
