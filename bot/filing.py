"""Shell: a job's cost in language models, filed with the signer: kind 44200.

It is filed when the job has its end and no call of it is under way: what the model proxy told then
is final, for the job's container was gone before the end was written. The signer makes one for a
job, however often it is asked; until it is filed the proxy tells again.
"""

from __future__ import annotations

import structlog

from bot.author import Author, of_kinds
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import spent
from nips.own.cost import Cost, Counts, StopReason
from nips.own.roles import Roles
from nips.own.spent import Spent, Use
from nips.refusal import Prefix, Refused
from relay_local.client import Caller, Unanswered

METHOD = "cost"
ANSWER_S = 20.0  # for the signer; the proxy tells again later
_ENDS: dict[int, StopReason] = {
    Kind.JOB_RESULT: "end_turn",
    Kind.JOB_CANCEL: "cancelled",
    Kind.JOB_ERROR: "error",
}

log = structlog.get_logger()


class Filing:
    """signer: the way to the signer."""

    def __init__(self, author: Author, roles: Roles, signer: Caller) -> None:
        self._author, self._roles, self._signer = author, roles, signer

    async def file(self, told: Spent) -> str:
        """File a job's cost if it is final; returns the answer to the proxy."""
        if told.under_way or (end := await self._end_of(told.job)) is None:
            return spent.NOTED
        # NIP-AM: "Do NOT publish an event for a turn with no observed usage"
        if told.use.is_none:
            return spent.FILED
        return await self._file(told, end)

    async def _end_of(self, job: str) -> Event | None:
        about = {"e": frozenset({job})}
        wanted = Filter(
            authors=frozenset({self._roles.router}),
            kinds=of_kinds(Kind.JOB_RESULT, Kind.JOB_CANCEL, Kind.JOB_ERROR),
            tags=about,
        )
        found = await self._author.link.fetch([wanted])
        # A router's 43005 without a status asks for an end; it is none yet.
        return next((event for event in found if event.tag("status") is not None), None)

    async def _file(self, told: spent.Spent, end: Event) -> str:
        cost = cost_of(told, end.created_at, _ENDS.get(end.kind, "unknown"))
        try:
            await self._signer.call(METHOD, told.job, cost.to_json(), deadline_s=ANSWER_S)
        except (Unanswered, Refused) as error:
            log.warning("a job's cost is not filed", job=told.job[:12], reason=str(error))
            # What the signer calls invalid, such as a cost of long ago, stays so.
            never = isinstance(error, Refused) and error.refusal.prefix is Prefix.INVALID
            return spent.FILED if never else spent.NOTED
        return spent.FILED


def cost_of(told: Spent, ended_at: int, stop: StopReason) -> Cost:
    """A job's cost from what the proxy told of it at its end."""
    return Cost(
        told.job,
        told.group,
        told.session,
        told.turn_seq,
        told.main_model,
        _counts(told.use) if told.exact else Counts(None, None, None, None, told.use.microusd),
        _counts(told.conversation),
        ended_at,
        told.exact,
        stop,
    )


def _counts(use: Use) -> Counts:
    # NIP-AM: "`inputTokens` is the inclusive input-side total"
    return Counts(
        use.input + use.cache_read + use.cache_write,
        use.output,
        use.cache_read,
        use.cache_write,
        use.microusd,
    )
