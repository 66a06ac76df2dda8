"""Shell: what an agent is doing, told live to the owner alone: kind 24200, by the bot.

A session gives short texts; the signer makes the whole event of them (kind, recipient, tags), so
that nothing else can be signed this way, and encrypts it to the owner. It is passed on and stored
by nobody: a row in the audit log says once for each session that it was shown, and rates are held
in memory, for a restart could at most show two frames more. Source: PROTOCOL.md "Kind 24200".
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
from signer.work import Reply, say

AT_ONCE, PER_S = 4, 2.0
MAX_SESSIONS = 1_024  # of which a rate is remembered


class LiveView:
    """See above. `show` is called inside the ledger's transaction."""

    def __init__(self, books: Books, pen: Pen, roles: Roles, ceiling: Ceiling) -> None:
        self._books, self._pen = books, pen
        self._roles, self._ceiling = roles, ceiling
        self._spent: OrderedDict[str, Spent] = OrderedDict()

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
        is_first = self._charge(grant.client)
        now_s = self._books.now_s
        text = frame.content(
            told, now_s=now_s, group=grant.group, session=grant.client, turn=grant.job
        )
        sealed = self._pen.encrypt(owner, text, extended=False)
        event = self._pen.sign(frame.template(self._roles.bot, owner, sealed, int(now_s)))
        if is_first:
            self._books.note(grant.client, request, "shows its owner what it does", event.id)
        return say(grant.client, request, event.id, publish=event)

    def _charge(self, client: str) -> bool:
        """Take one of a session's frames; says whether it is its first. Raises Refused."""
        before = self._spent.get(client)
        after = charge(Rated(f"key/{client}", AT_ONCE, PER_S), before, self._books.now_s)
        if isinstance(after, Refusal):
            raise Refused(after)
        self._spent[client] = after
        self._spent.move_to_end(client)
        if len(self._spent) > MAX_SESSIONS:
            self._spent.popitem(last=False)
        return before is None
