"""Shell: `nostr_query`: what public relays hold, asked by the Nostr bridge in an agent's stead."""

from __future__ import annotations

from collections import OrderedDict

import orjson

from bot.requests.methods import Asked
from nips.filter import Filter
from nips.own import public_query
from nips.refusal import Malformed, Prefix, Refused, refused
from relay_local.client import Caller, Unanswered

DEADLINE_S = 20.0
MAX_OF_A_JOB = 30
JOBS_COUNTED = 1_000


class QueryRequests:
    """bridge: from the router's key to the Nostr bridge's; None where there is none."""

    def __init__(self, bridge: Caller | None) -> None:
        self._bridge = bridge
        self._jobs: OrderedDict[str, int] = OrderedDict()

    async def nostr_query(self, asked: Asked) -> str:
        """`[filter]`: the bridge's answer as JSON. Main's."""
        # Attack: another group's agent, talked into it, tells the public relays what it knows, in
        # the words that it looks for.
        if not asked.session.is_main:
            raise refused(
                Prefix.RESTRICTED, "public relays are asked in the owner's own conversation only"
            )
        (text,) = asked.take(1, 1, "a filter")
        try:
            wanted = public_query.checked(Filter.from_json(orjson.loads(text)))
        except (Malformed, ValueError) as error:
            raise refused(Prefix.INVALID, str(error)) from error
        if self._bridge is None:
            raise refused(Prefix.ERROR, "there is no bridge to public relays")
        self._count(asked.session.job.id)
        try:
            return await self._bridge.call(
                "query", orjson.dumps(wanted.to_json()).decode(), deadline_s=DEADLINE_S
            )
        except Unanswered as error:
            raise refused(Prefix.ERROR, "the Nostr bridge does not answer") from error
        except Refused as error:
            if error.refusal.prefix is Prefix.RESTRICTED:
                raise refused(Prefix.ERROR, "the Nostr bridge does not do that") from error
            raise

    def _count(self, job: str) -> None:
        """Attack: an agent that asks without end has the relays shut their doors to the bot."""
        n_asked = self._jobs.pop(job, 0) + 1
        self._jobs[job] = n_asked
        while len(self._jobs) > JOBS_COUNTED:
            self._jobs.popitem(last=False)
        if n_asked > MAX_OF_A_JOB:
            raise refused(
                Prefix.RATE_LIMITED, f"one request may ask public relays {MAX_OF_A_JOB} times"
            )
