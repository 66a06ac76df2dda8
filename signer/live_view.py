"""Shell: what an agent is doing, told live to the owner alone: kind 24200, by the bot.

A session gives short texts; the signer makes the whole event of them (kind, recipient, tags), so
that nothing else can be signed this way, and encrypts it to the owner. It is passed on and stored
by nobody: a row in the audit log says once for each session that it was shown, and rates are held
in memory, for a restart could at most show once more what may be shown at once. Source: PROTOCOL.md
"Kind 24200".
"""

from __future__ import annotations

from collections import OrderedDict

from nips import nip46
from nips.own import frame
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal, Refused, refused
from signer.books import Books
from signer.buckets import Rated, Spent, charge
from signer.ceiling import Ceiling
from signer.grants import Held, is_live
from signer.pen import Pen
from signer.work import Reply, refuse, say

AT_ONCE, PER_S = 4, 2.0
ALL = Rated("frames", 64, 32.0)  # of all sessions together
MAX_SESSIONS = 1_024  # of which a rate is remembered, until long after it would have drained


class LiveView:
    """See above. `show` is called inside the ledger's transaction."""

    def __init__(self, books: Books, pen: Pen, roles: Roles, ceiling: Ceiling) -> None:
        self._books, self._pen = books, pen
        self._roles, self._ceiling = roles, ceiling
        self._spent: OrderedDict[str, Spent] = OrderedDict()
        self._spent_by_all: Spent | None = None

    def show(self, request: nip46.Request, held: Held | None, owner: str | None) -> Reply:
        """Do a `frame [JSON]` of a session with a job; the event is not kept. Raises Refused."""
        if held is None or held.grant.role != "session" or frame.METHOD not in held.grant.methods:
            raise refused(Prefix.RESTRICTED, "only a session shows its owner what it does")
        if (over := is_live(held, self._ceiling, self._books.now_s)) is not None:
            raise Refused(over)
        grant = held.grant
        if grant.job is None or grant.group is None or owner is None:
            raise refused(Prefix.RESTRICTED, "there is nothing to show, or nobody to show it to")
        try:
            (parameter,) = request.params
            told = frame.parse(parameter)
        except (ValueError, Malformed) as error:
            raise refused(Prefix.INVALID, f"{frame.METHOD} takes one frame: {error}") from error
        is_first = grant.client not in self._spent
        if (too_fast := self._charge(grant.client)) is not None:
            # Answered, not raised: rows about frames that were too many would use up those that a
            # key's refusals have, and what it tries next would leave none.
            return refuse(grant.client, request, too_fast)
        now_s = self._books.now_s
        text = frame.content(
            told, now_s=now_s, group=grant.group, session=grant.client, turn=grant.job
        )
        sealed = self._pen.encrypt(owner, text, extended=False)
        event = self._pen.sign(frame.template(self._roles.bot, owner, sealed, int(now_s)))
        if is_first:
            self._books.note(grant.client, request, "shows its owner what it does", event.id)
        return say(grant.client, request, event.id, publish=event)

    def _charge(self, client: str) -> Refusal | None:
        """Take one of a session's frames and one of all sessions', or neither, and say why."""
        now_s = self._books.now_s
        own = charge(Rated(f"key/{client}", AT_ONCE, PER_S), self._spent.get(client), now_s)
        if isinstance(own, Refusal):
            return own
        # Attack: a router that was taken over names sessions without end, each with its own rate.
        by_all = charge(ALL, self._spent_by_all, now_s)
        if isinstance(by_all, Refusal):
            return by_all
        self._spent[client], self._spent_by_all = own, by_all
        self._spent.move_to_end(client)
        if len(self._spent) > MAX_SESSIONS:
            self._spent.popitem(last=False)
        return None
