"""Shell: one request, to its reply: judged by the pure rules, done with the pen, in the books.

Used by the desk, inside its transaction and on its thread.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import orjson

from nips import nip46, nip59
from nips.event import Event, Template
from nips.key import SecretKey
from nips.own.frame import METHOD as FRAME
from nips.own.roles import Roles
from nips.refusal import Prefix, Refusal, Refused
from signer import bunker, private_text
from signer.approval import Question, told_to_asker
from signer.approval_desk import ApprovalDesk
from signer.books import Books
from signer.ceiling import Ceiling
from signer.first_owner import FirstOwner
from signer.grants import is_live
from signer.ledger import Answer, Ledger
from signer.live_view import LiveView
from signer.login_desk import LoginDesk
from signer.orders import Orders
from signer.pen import LOCKED, Pen
from signer.reception import Reception
from signer.turn_costs import METHOD as COST
from signer.turn_costs import TurnCosts
from signer.work import (
    Reply,
    refuse,
    say,
)

BACKDATED_S = 2 * 86_400


class Clerk:
    """See above. `key`: the signer's role key. `data`: the signer's folder. `reception`: how
    requests are opened."""

    def __init__(
        self,
        ledger: Ledger,
        books: Books,
        pen: Pen,
        reception: Reception,
        key: SecretKey,
        roles: Roles,
        ceiling: Ceiling,
        data: Path,
    ) -> None:
        self._ledger, self._books, self._pen, self._reception = ledger, books, pen, reception
        self._roles, self._ceiling = roles, ceiling
        self._logins = LoginDesk(ledger, pen, key, roles, books.charge, books.note)
        self._orders = Orders(ledger, key, roles.bot)
        self._costs = TurnCosts(ledger, books, pen, roles, ceiling)
        self.live_view = LiveView(books, pen, roles, ceiling)
        self.pairing = FirstOwner(ledger, key, data)
        self.approvals = ApprovalDesk(ledger, pen.sign, books.charge, roles, ceiling)

    def owner(self) -> str | None:
        """The owner's key, configured or paired, where there is one."""
        return self._roles.owner or self.pairing.owner()

    def serve(self, event: Event, went_back: Refusal | None) -> Reply | None:
        """The reply to a 24133; None where there is no id to answer under.

        went_back: why nothing is signed now, where the clock is not right.
        """
        request = self._reception.open(event)
        if request is None:
            return None
        client = event.pubkey
        if (waits := LOCKED if self._pen.is_locked else went_back) is not None:
            return refuse(client, request, waits)
        try:
            reply = self._answer(client, request)
        except Refused as error:
            self._books.note_refusal(client, request, error.refusal)
            return refuse(client, request, error.refusal)
        held = self._ledger.held(client)
        if held is not None and bunker.is_takeaway(held.grant) and not request.is_extended:
            reply = replace(reply, classic=True)  # a client of anybody's make
        return reply

    def _answer(self, client: str, request: nip46.Request) -> Reply:
        body_hash = bunker.body_hash(request)
        if (first := self._ledger.answer(client, request.id)) is not None:
            # Attack: another body under an id that has been answered.
            if first.body_hash != body_hash:
                raise Refused(
                    Refusal(Prefix.INVALID, "this id was used for another request already")
                )
            return self._again(client, request, first)
        if (request.method, request.params) == ("ping", ()) and self._is_part(client):
            return say(client, request, "pong")  # do we serve? It opens nothing, so needs no grant
        owner = self.owner()
        if request.method == COST:
            return self._costs.file(client, request, owner)
        if request.method == FRAME:
            return self.live_view.show(request, self._ledger.held(client), owner)
        if (asked := self._asked_before(client, request, body_hash)) is not None:
            return self._tell(client, request, asked)
        return self._judge(client, request, body_hash, owner)

    def _again(self, client: str, request: nip46.Request, first: Answer) -> Reply:
        event = self._ledger.signed(first.event_id) if first.event_id else None
        if first.result is not None:
            return say(client, request, first.result, publish=event)
        if event is None:
            raise Refused(Refusal(Prefix.DUPLICATE, "it was signed and published long ago"))
        return say(client, request, _json(event), publish=event)

    def _judge(
        self, client: str, request: nip46.Request, body_hash: str, owner: str | None
    ) -> Reply:
        view = bunker.View(self._roles, self._ceiling, owner, self._books.now_s)
        match bunker.handle(request, self._ledger.held(client), view):
            case bunker.Say(result):
                return say(client, request, result)
            case bunker.Deny(refusal):
                raise Refused(refusal)
            case bunker.SignEvent() as step:
                return self._sign_event(client, request, body_hash, step)
            case bunker.AskOwner() as step:
                return self._ask_owner(client, request, body_hash, step)
            case bunker.MakeSeal() as step:
                self.approvals.seal(step.recipient, step.rumor, owner)
                return self._seal(client, request, body_hash, step)
            case bunker.Open(wrap):
                return self._unwrap(client, request, wrap, owner)
            case bunker.Connect() as step:
                return self._logins.connect(client, request, step, owner, self._books.now_s)
            case bunker.LogOut():
                return self._logins.log_out(client, request, body_hash)
            case private_text.Encrypt() | private_text.Decrypt() as step:
                return self._logins.private_text(client, request, step)

    def _is_part(self, client: str) -> bool:
        return client in (self._roles.router, self._roles.mail_bridge)

    def _sign_event(
        self, client: str, request: nip46.Request, body_hash: str, step: bunker.SignEvent
    ) -> Reply:
        event = self._ledger.signed_once(step.once) if step.once is not None else None
        if event is not None:
            # Attack: read something else that was signed by naming its once-key.
            if (event.kind, event.values("h")) != (step.template.kind, step.template.values("h")):
                raise Refused(Refusal(Prefix.RESTRICTED, "this once-key is used elsewhere"))
            self._books.charge(step.uses)  # its answer is kept like any other
        else:
            self._books.charge(step.costs)
            event = self._pen.sign(step.template)
            if step.publish:
                self._ledger.keep_signed(event, step.once)
            self._books.note(client, request, f"signed kind {event.kind}", event.id)
        result = _json(event)
        kept = (
            Answer(body_hash, None, event.id) if step.publish else Answer(body_hash, result, None)
        )
        self._ledger.keep_answer(client, request.id, kept)
        return say(client, request, result, publish=event if step.publish else None)

    # Approvals

    def _asked_before(self, client: str, request: nip46.Request, body: str) -> Question | None:
        held = self._ledger.held(client)
        if request.method != "sign_event" or held is None:
            return None
        if is_live(held, self._ceiling, self._books.now_s) is not None:
            return None
        return self.approvals.earlier(client, request, body)

    def _ask_owner(
        self, client: str, request: nip46.Request, body_hash: str, step: bunker.AskOwner
    ) -> Reply:
        if step.once is not None and self._ledger.signed_once(step.once) is not None:
            again = bunker.SignEvent(step.template, step.costs, step.uses, step.once, publish=True)
            return self._sign_event(client, request, body_hash, again)
        asked = self.approvals.ask(
            client, request, body_hash, step.template, step.costs, step.group, step.once,
            self.owner(), self._books.now_s,
        )  # fmt: skip
        return self._tell(client, request, asked)

    def _tell(self, client: str, request: nip46.Request, asked: Question) -> Reply:
        if (refusal := told_to_asker(asked)) is not None:
            return refuse(client, request, refusal)
        event = self._ledger.signed(asked.run)
        if event is None:
            raise Refused(Refusal(Prefix.DUPLICATE, "it was approved, signed and published before"))
        return say(client, request, _json(event), publish=event)

    def _seal(
        self, client: str, request: nip46.Request, body_hash: str, step: bunker.MakeSeal
    ) -> Reply:
        self._books.charge(step.costs)
        # NIP-17: "randomize `created_at` in up to two days in the past in both the seal and …"
        created_at = int(self._books.now_s) - secrets.randbelow(BACKDATED_S)
        seal = self._pen.sign(
            nip59.seal_template(step.rumor, step.recipient, created_at, self._pen.encrypt)
        )
        result = _json(seal)
        # The seal is kept, whose text only its recipient opens; never the rumor.
        self._ledger.keep_answer(client, request.id, Answer(body_hash, result, None))
        self._books.note(client, request, f"sealed kind {step.rumor.kind}", seal.id)
        return say(client, request, result)

    def _unwrap(self, client: str, request: nip46.Request, wrap: Event, owner: str | None) -> Reply:
        seal, rumor = nip59_checked(wrap, self._roles.bot, self._pen.decrypt)
        told = None  # in our own word, on the relay before the answer
        if owner is None:
            told = self.pairing.try_to_pair(rumor, self._books.now_s)
        opened: dict[str, object] = {
            "rumor": rumor.to_json(),
            "seal_id": seal.id,
            "author": rumor.pubkey,
        }
        if self.pairing.was_paired_by(rumor):
            opened["paired"] = True
        elif self.approvals.hear_rumor(rumor, owner, self._books.now_s):
            opened["approval"] = True
        else:
            told = told or self._orders.of(rumor, owner, client, self._books.now_s)
        # Neither text nor author is kept: opening again gives the same.
        self._books.note(client, request, "opened", wrap.id)
        return say(client, request, orjson.dumps(opened).decode(), publish=told)


def nip59_checked(wrap: Event, bot: str, decrypt: nip59.Decrypt) -> tuple[Event, Template]:
    """Open a wrap; a failed check is a refusal that names it. Raises Refused."""
    try:
        return nip59.unwrap(wrap, bot, decrypt)
    except nip59.BadGift as error:
        raise Refused(Refusal(Prefix.INVALID, f"{type(error).__name__}: {error}")) from error


def _json(event: Event) -> str:
    return orjson.dumps(event.to_json()).decode()
