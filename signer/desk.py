"""Shell: does what the pure rules decide: ledger and secret, one batch in one transaction.

Everything that reaches the signer comes through here in the order in which it came from the
relay, on one thread. What a batch returns may leave the process: its transaction is on the disk.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import orjson
import structlog

from nips import nip44, nip46, nip59
from nips.event import Event, Template
from nips.key import SecretKey
from nips.own.grant import D_PREFIX
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal, Refused
from signer import bunker, clock
from signer.buckets import Cost, Spent, charge
from signer.ceiling import Ceiling
from signer.first_owner import FirstOwner
from signer.grants import admit
from signer.ledger import Answer, Entry, Ledger
from signer.secret import Secret
from signer.work import Arrived, Asked, Clocks, Place, Reply, Settled, Work, refuse, say

BACKDATED_S = 2 * 86_400
MAX_CACHED_PEERS = 1_024
MAX_AUDITED_REFUSALS = 200  # of one key: a flood of refusals must not fill the disk

log = structlog.get_logger()


class Desk:
    """See above. `data`: the signer's folder. `key`: the signer's role key."""

    def __init__(
        self,
        ledger: Ledger,
        secret: Secret,
        key: SecretKey,
        roles: Roles,
        ceiling: Ceiling,
        data: Path,
        clocks: Clocks,
    ) -> None:
        self._ledger, self._secret, self._key = ledger, secret, key
        self._roles, self._ceiling = roles, ceiling
        self._pairing = FirstOwner(ledger, key, data)
        self._clocks = clocks
        self._reading = clock.start(float(ledger.get("high_water_s") or 0), clocks.monotonic_s())
        self._undone: list[Work] = []
        self._conversation_keys: OrderedDict[str, bytes] = OrderedDict()

    def place(self) -> tuple[str | None, int]:
        """The epoch and arrival number up to which the relay has been read."""
        return self._ledger.get("epoch"), int(self._ledger.get("seq") or 0)

    def unpublished(self) -> list[Event]:
        """What was signed and may not be on the relay, because a process died in between."""
        return self._ledger.unpublished()

    def take(self, batch: Sequence[Work]) -> list[Reply]:
        """Do a batch. The replies may be sent when this returns.

        Where the ledger cannot be written nothing is signed: every request is refused with an
        `error:`. The rest is done before the next batch: a revocation is not lost.
        """
        whole = [*self._undone, *batch]
        try:
            with self._ledger.transaction():
                went_back = self._read_clocks()
                replies = [
                    reply for work in whole if (reply := self._do(work, went_back)) is not None
                ]
                self._ledger.put("high_water_s", repr(self._reading.now_s))
        except sqlite3.Error as error:
            log.error("the ledger cannot be written, so nothing is signed", reason=str(error))
            self._undone = [work for work in whole if not isinstance(work, Asked)]
            return [reply for work in batch if (reply := self._unwritable(work)) is not None]
        self._undone = []
        return replies

    def _read_clocks(self) -> Refusal | None:
        self._reading, went_back = clock.read(
            self._reading, self._clocks.wall_s(), self._clocks.monotonic_s()
        )
        if went_back is None:
            return None
        log.error("the clock went back, so nothing is signed", by_s=round(went_back.by_s))
        return Refusal(
            Prefix.ERROR,
            f"this machine's clock went back by {went_back.by_s:.0f} s; set it right, or tell the "
            "signer that it is: python -m signer clock",
        )

    def _do(self, work: Work, went_back: Refusal | None) -> Reply | None:
        match work:
            case Arrived(event, seq):
                self._arrive(event)
                if seq is not None:
                    self._ledger.put("seq", str(seq))
            case Place(epoch, seq):
                if epoch is not None and seq is not None:
                    self._ledger.put("epoch", epoch)
                    self._ledger.put("seq", str(seq))
            case Settled(event_id):
                self._ledger.settle([event_id])
            case Asked(event):
                return self._ask(event, went_back)
        return None

    def _unwritable(self, work: Work) -> Reply | None:
        if not isinstance(work, Asked) or (request := self._open_request(work.event)) is None:
            return None
        refusal = Refusal(Prefix.ERROR, "the signer's ledger cannot be written; is the disk full?")
        return refuse(work.event.pubkey, request, refusal)

    # Grants

    def _arrive(self, event: Event) -> None:
        client = (event.tag("d") or "").removeprefix(D_PREFIX)
        try:
            held = admit(event, self._ledger.held(client), self._roles, self._reading.now_s)
        except Malformed as error:
            log.warning("grant set aside", client=client, reason=str(error))
            return
        self._ledger.hold(held)
        log.info(
            "grant", client=client, role=held.grant.role, job=held.grant.job, revoked=held.revoked
        )

    # Requests

    def _ask(self, event: Event, went_back: Refusal | None) -> Reply | None:
        request = self._open_request(event)
        if request is None:
            return None
        client = event.pubkey
        if went_back is not None:
            return refuse(client, request, went_back)
        try:
            return self._answer(client, request)
        except Refused as error:
            self._note_refusal(client, request, error.refusal)
            return refuse(client, request, error.refusal)

    def _open_request(self, event: Event) -> nip46.Request | None:
        try:
            nip46.check_envelope(event, self._key.public)
            text = nip44.decrypt(event.content, self.conversation_key(event.pubkey), extended=True)
            return nip46.parse_request(text)
        except Malformed as error:
            # There is no id to answer under.
            log.debug("unreadable request", client=event.pubkey, reason=str(error))
            return None

    def conversation_key(self, client: str) -> bytes:
        """Between the role key and a client's; kept for the latest clients. Raises Malformed."""
        if (found := self._conversation_keys.get(client)) is None:
            found = nip44.conversation_key(self._key, client)
            self._conversation_keys[client] = found
            if len(self._conversation_keys) > MAX_CACHED_PEERS:
                self._conversation_keys.popitem(last=False)
        self._conversation_keys.move_to_end(client)
        return found

    def _answer(self, client: str, request: nip46.Request) -> Reply:
        body_hash = bunker.body_hash(request)
        if (first := self._ledger.answer(client, request.id)) is not None:
            # Attack: another body under an id that has been answered.
            if first.body_hash != body_hash:
                raise Refused(
                    Refusal(Prefix.INVALID, "this id was used for another request already")
                )
            event = self._ledger.signed(first.event_id) if first.event_id else None
            return say(client, request, first.result, publish=event)
        owner = self._roles.owner or self._pairing.owner()
        view = bunker.View(self._roles, self._ceiling, owner, self._reading.now_s)
        match bunker.handle(request, self._ledger.held(client), view):
            case bunker.Say(result):
                return say(client, request, result)
            case bunker.Deny(refusal):
                raise Refused(refusal)
            case bunker.SignEvent() as step:
                return self._sign_event(client, request, body_hash, step)
            case bunker.MakeSeal() as step:
                return self._seal(client, request, body_hash, step)
            case bunker.Open(wrap):
                return self._unwrap(client, request, wrap, owner)

    def _sign_event(
        self, client: str, request: nip46.Request, body_hash: str, step: bunker.SignEvent
    ) -> Reply:
        event = self._ledger.signed_once(step.once) if step.once is not None else None
        if event is not None:
            # Attack: read another group's message by naming its once-key.
            if (event.kind, event.values("h")) != (step.template.kind, step.template.values("h")):
                raise Refused(Refusal(Prefix.RESTRICTED, "this once-key is used elsewhere"))
            self._charge(step.uses)  # its answer is kept like any other
        else:
            self._charge(step.costs)
            event = self._sign(step.template)
            if step.publish:
                self._ledger.keep_signed(event, step.once)
            self._note(client, request, f"signed kind {event.kind}", event.id)
        result = orjson.dumps(event.to_json()).decode()
        settled_by = event.id if step.publish else None
        self._ledger.keep_answer(client, request.id, Answer(body_hash, result, settled_by))
        return say(client, request, result, publish=event if step.publish else None)

    def _seal(
        self, client: str, request: nip46.Request, body_hash: str, step: bunker.MakeSeal
    ) -> Reply:
        self._charge(step.costs)
        # NIP-17: "randomize `created_at` in up to two days in the past in both the seal and …"
        created_at = int(self._reading.now_s) - secrets.randbelow(BACKDATED_S)
        seal = self._sign(
            nip59.seal_template(step.rumor, step.recipient, created_at, self._encrypt)
        )
        result = orjson.dumps(seal.to_json()).decode()
        # The seal is kept, whose text only its recipient opens; never the rumor.
        self._ledger.keep_answer(client, request.id, Answer(body_hash, result, None))
        self._note(client, request, f"sealed kind {step.rumor.kind}", seal.id)
        return say(client, request, result)

    def _unwrap(self, client: str, request: nip46.Request, wrap: Event, owner: str | None) -> Reply:
        seal, rumor = nip59_checked(wrap, self._roles.bot, self._decrypt)
        announcement = None
        if owner is None:
            announcement = self._pairing.try_to_pair(rumor, self._reading.now_s)
        opened: dict[str, object] = {
            "rumor": rumor.to_json(),
            "seal_id": seal.id,
            "author": rumor.pubkey,
        }
        if self._pairing.was_paired_by(rumor):
            opened["paired"] = True
        # Neither text nor author is kept: opening again gives the same.
        self._note(client, request, "opened", wrap.id)
        return say(client, request, orjson.dumps(opened).decode(), publish=announcement)

    # The key

    def _sign(self, template: Template) -> Event:
        event = template.with_sig(self._secret.sign(template.id, secrets.token_bytes(32)))
        event.verify()  # BIP-340 recommends it: a fault while signing can give the key away
        return event

    def _encrypt(self, peer: str, plaintext: str) -> str:
        return nip44.encrypt(
            plaintext,
            self._secret.conversation_key(peer),
            secrets.token_bytes(32),
            extended=True,
        )

    def _decrypt(self, peer: str, payload: str) -> str:
        return nip44.decrypt(payload, self._secret.conversation_key(peer), extended=True)

    def _charge(self, costs: Sequence[Cost]) -> None:
        """Take every cost, or none of them and raise Refused."""
        taken: dict[str, Spent] = {}
        for cost in costs:
            outcome = charge(cost, self._ledger.spent(cost.name), self._reading.now_s)
            if isinstance(outcome, Refusal):
                raise Refused(outcome)
            taken[cost.name] = outcome
        for name, spent in taken.items():
            self._ledger.spend(name, spent)

    # The audit chain

    def _note(self, client: str, request: nip46.Request, outcome: str, event_id: str) -> None:
        self._ledger.audit(
            Entry(int(self._reading.now_s), client, request.method, outcome, event_id)
        )

    def _note_refusal(self, client: str, request: nip46.Request, refusal: Refusal) -> None:
        # Attack: refusals without end, by anybody who can make a key; the log would fill the disk.
        if 0 < self._ledger.count_refusal(client) <= MAX_AUDITED_REFUSALS:
            log.info("refused", client=client, method=request.method, reason=str(refusal))
            self._note(client, request, f"refused: {refusal}", "")


def nip59_checked(wrap: Event, bot: str, decrypt: nip59.Decrypt) -> tuple[Event, Template]:
    """Open a wrap; a failed check is a refusal that names it. Raises Refused."""
    try:
        return nip59.unwrap(wrap, bot, decrypt)
    except nip59.BadGift as error:
        raise Refused(Refusal(Prefix.INVALID, f"{type(error).__name__}: {error}")) from error
