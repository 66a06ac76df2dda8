"""Shell: asking the router for what is the bot's own: groups, files to hand over, who it is.

The router is whoever wrote the attempt (43002): the relay takes that kind from nobody else.
"""

from __future__ import annotations

from agent_image.agent.job import Job
from nips.own.once import once_key
from nips.refusal import Prefix, Refused
from relay_local.client import Caller, Unanswered

PATIENCE_S = 60.0
# The signer asked. An answer and no failure: the job goes on without waiting for a person.
ASKED = (
    "I asked the owner: a question about exactly this event is on its way to them. It is published "
    "when they say yes within ten minutes, and not at all otherwise; they are told either way. "
    "There is nothing left to do for it here, and asking again changes nothing."
)


class NotDone(Exception):
    """The router did not do it; the sentence says why, for the model and for the person."""


class Asking:
    """caller: from the session's key to the router's."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def ask(self, job: Job, call_key: str, method: str, *params: str) -> str:
        """Ask, and return the answer in words; also that the owner was asked, which is one.

        call_key: names the call within the job's turn. Another attempt that comes to the same
        call asks under the same id, so it has its effect once. Raises NotDone.
        """
        request_id = once_key("ask", job.id, job.message.id, call_key)
        try:
            return await self._caller.call(
                method, *params, deadline_s=PATIENCE_S, request_id=request_id
            )
        except Unanswered as error:
            raise NotDone(f"no answer came within {PATIENCE_S:g} s") from error
        except Refused as error:
            if error.refusal.prefix is Prefix.PENDING:
                sentence = error.refusal.sentence
                return f"{sentence[:1].upper()}{sentence[1:]}. Asking again changes nothing."
            raise NotDone(error.refusal.sentence) from error
