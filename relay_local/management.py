"""Shell: the owner's calls over HTTP, authorised, done and kept. Source: NIP-86, NIP-98."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from functools import partial
from http import HTTPStatus

import structlog

from nips import nip86, nip98
from nips.nip11 import CORS
from nips.refusal import Malformed
from relay_local import retention
from relay_local.information import Answer
from relay_local.regulations import Book, Regulations, Ruling, answer, collect, is_reading
from relay_local.store import Store
from relay_local.transaction import Transaction
from relay_local.world import World

log = structlog.get_logger("relay")


class Management:
    """The regulations in force, and the way to change them.

    `changed` is called after each change; the world is asked for at every call, since the owner
    may be named while the relay runs.
    """

    def __init__(
        self, store: Store, now_s: Callable[[], int], changed: Callable[[Regulations], None]
    ) -> None:
        self.regulations = Regulations()
        self._store = store
        self._now_s = now_s
        self._changed = changed
        self._started_s = now_s()
        self._used: dict[str, int] = {}

    async def load(self) -> None:
        """Read what an earlier process kept. Raises sqlite3.Error."""
        rows = await self._store.write(Transaction.rulings)
        self.regulations = collect(Ruling(Book(row[0]), row[1], row[2]) for row in rows)

    async def post(
        self, world: World, relays: Collection[str], headers: dict[str, str], body: bytes
    ) -> Answer:
        """Answer one POST. headers: by lower-case name."""
        if headers.get("content-type", "").split(";")[0].strip().lower() != nip86.MEDIA_TYPE:
            return _answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"POST {nip86.MEDIA_TYPE} only")
        if (
            wrong := self._objection(world, relays, headers.get("authorization"), body)
        ) is not None:
            # NIP-86: "If `Authorization` is not provided or is invalid … a 401 response"
            return _answer(HTTPStatus.UNAUTHORIZED, wrong)
        try:
            found = answer(world, self.regulations, nip86.parse(body))
            if isinstance(found, Ruling):
                await self._store.write(partial(_keep, world=world, ruling=found))
        except Malformed as error:
            return _answer(HTTPStatus.OK, str(error))
        except sqlite3.Error as error:
            log.error("ruling not kept", error=str(error))
            return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"it could not be stored: {error}")
        if not isinstance(found, Ruling):
            return Answer(HTTPStatus.OK, _headers(), nip86.result(found))
        self.regulations = self.regulations.after(found)
        log.info("ruling", book=found.book, subject=found.subject, struck=found.reason is None)
        self._changed(self.regulations)
        return Answer(HTTPStatus.OK, _headers(), nip86.result(True))

    def _objection(
        self, world: World, relays: Collection[str], authorization: str | None, body: bytes
    ) -> str | None:
        now_s = self._now_s()
        try:
            event = nip98.parse(authorization)
        except Malformed as error:
            return str(error)
        if (refusal := nip98.check(event, relays, "POST", body, now_s)) is not None:
            return refusal.sentence
        if event.pubkey != world.owner:
            return "this relay is managed by its owner only"
        # Whoever overheard a call must not repeat it, not even across a restart. By signature: the
        # same call twice in a second has one id. Of some clients one signature too: who only
        # reads may read again.
        self._used = {key: at for key, at in self._used.items() if at + nip98.MAX_AGE_S >= now_s}
        if not _reads(body) and (event.sig in self._used or event.created_at < self._started_s):
            return "this authorisation has been used, or is from before this relay's start"
        self._used[event.sig] = event.created_at
        return None


def _reads(body: bytes) -> bool:
    try:
        return is_reading(nip86.parse(body))
    except Malformed:
        return False


def _keep(transaction: Transaction, world: World, ruling: Ruling) -> None:
    if ruling.book is Book.EVENTS:
        target = transaction.event(ruling.subject)
        if ruling.reason is None:
            transaction.forget(ruling.subject)
        elif target is not None:
            if retention.is_ledger(world, target) or target.pubkey == world.relay:
                raise Malformed("this event is part of the house's record")
            transaction.remove(target)
    transaction.rule(ruling.book, ruling.subject, ruling.reason)


def _headers() -> dict[str, str]:
    return {**CORS, "Content-Type": "application/json"}


def _answer(status: HTTPStatus, sentence: str) -> Answer:
    return Answer(status, _headers(), nip86.failure(sentence))
