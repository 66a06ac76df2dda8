"""Shell: what an agent is doing, told live to the owner alone: kind 24200, by the bot.

A session gives short texts; the signer makes the whole event of them (kind, recipient, tags), so
that nothing else can be signed this way, and encrypts it to the owner. It is passed on and stored
by nobody: a row in the audit log says once for each session that it was shown, and rates are held
in memory, for a restart could at most show once more what may be shown at once. Source: PROTOCOL.md
"Kind 24200".

Whoever is killed says nothing more. So where a session's grant is revoked before it has shown how
its turn ended, the signer shows that it is over.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from nips import nip46
from nips.event import Event
from nips.own import frame
from nips.own.frame import ENDINGS, Told
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
KILLED = "it was ended before it could say how far it came"


@dataclass(frozen=True, slots=True)
class _Shown:
    """How far a session has come. is_open: nothing was shown yet of how its turn ended."""

    spent: Spent
    seq: int
    is_open: bool


class LiveView:
    """See above. Both are called inside the ledger's transaction."""

    def __init__(self, books: Books, pen: Pen, roles: Roles, ceiling: Ceiling) -> None:
        self._books, self._pen = books, pen
        self._roles, self._ceiling = roles, ceiling
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
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
        before = self._shown.get(grant.client)
        if (too_fast := self._take(grant.client, told)) is not None:
            # Answered, not raised: rows about frames that were too many would use up those that a
            # key's refusals have, and what it tries next would leave none.
            return refuse(grant.client, request, too_fast)
        event = self._made(told, owner, grant.client, grant.group, grant.job)
        if before is None:
            self._books.note(grant.client, request, "shows its owner what it does", event.id)
        return say(grant.client, request, event.id, publish=event)

    def end(self, held: Held, owner: str | None) -> Event | None:
        """The last frame of a session whose grant has just been revoked; None where nothing is
        left to show. A grant is revoked once, so this is shown once."""
        grant = held.grant
        shown = self._shown.get(grant.client)
        if shown is None or not shown.is_open or owner is None:
            return None
        if grant.job is None or grant.group is None:
            return None
        by_all = charge(ALL, self._spent_by_all, self._books.now_s)
        if isinstance(by_all, Refusal):
            return None
        self._spent_by_all = by_all
        told = Told(shown.seq + 1, "turn_error", {"text": KILLED})
        return self._made(told, owner, grant.client, grant.group, grant.job)

    def undo(self) -> None:
        """A transaction failed, and with it the row of whoever was shown first in it."""
        self._shown.clear()

    def _take(self, client: str, told: Told) -> Refusal | None:
        """Take one of a session's frames and one of all sessions', or neither, and say why."""
        now_s, before = self._books.now_s, self._shown.get(client)
        spent = before.spent if before is not None else None
        own = charge(Rated(f"key/{client}", AT_ONCE, PER_S), spent, now_s)
        if isinstance(own, Refusal):
            return own
        # Attack: a router that was taken over names sessions without end, each with its own rate.
        by_all = charge(ALL, self._spent_by_all, now_s)
        if isinstance(by_all, Refusal):
            return by_all
        # A line may come after a turn's end, or where its beginning was left out.
        was_open = before is None or before.is_open or told.kind == "turn_started"
        is_open = was_open and told.kind not in ENDINGS
        self._shown[client], self._spent_by_all = _Shown(own, told.seq, is_open), by_all
        self._shown.move_to_end(client)
        if len(self._shown) > MAX_SESSIONS:
            self._shown.popitem(last=False)
        return None

    def _made(self, told: Told, owner: str, session: str, group: str, turn: str) -> Event:
        now_s = self._books.now_s
        text = frame.content(told, now_s=now_s, group=group, session=session, turn=turn)
        sealed = self._pen.encrypt(owner, text, extended=False)
        return self._pen.sign(frame.template(self._roles.bot, owner, sealed, int(now_s)))
