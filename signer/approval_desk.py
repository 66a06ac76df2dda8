"""Shell: asks the owner, hears the answers, and signs what was approved.

Used by the desk, inside its transaction and on its thread. What is to be published gathers
(`drain`); it may leave when the transaction is on the disk, and what a process that died had
signed goes out at the next start like everything else (ledger.py).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from nips.event import Event, Template
from nips.kinds import Kind
from nips.nip46 import Request
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal, Refused, refused
from signer import approval, costs, question, sealed_questions
from signer.approval import TABLE, Move, Question, Said, State
from signer.approval_notices import Notices
from signer.approvals_ledger import ApprovalsLedger
from signer.buckets import Cost
from signer.ceiling import Ceiling
from signer.chain import Entry
from signer.ledger import Answer, Ledger

AGAIN_S = 1.0  # after a transaction that failed

log = structlog.get_logger()


class ApprovalDesk:
    """See above. sign: with the bot's key. charge: takes costs or raises Refused.

    next_s: when the next question's time is up, in unix seconds; infinite where none is asked.
    """

    def __init__(
        self,
        ledger: Ledger,
        sign: Callable[[Template], Event],
        charge: Callable[[Sequence[Cost]], None],
        roles: Roles,
        ceiling: Ceiling,
    ) -> None:
        self._ledger, self._questions = ledger, ApprovalsLedger(ledger)
        self._notices, self._charge = Notices(ledger, sign, roles), charge
        self._roles, self._ceiling = roles, ceiling
        self._unheard: list[Event] = []  # answers that came while nothing could be signed
        self._hearing: list[Event] = []
        self.next_s = -math.inf  # look once what a predecessor has left

    # Each batch

    def begin(self, now_s: float, owner: str | None) -> None:
        """Do what is due, before anything of a batch: nothing is answered after its time."""
        if self.next_s <= now_s:
            for found in self._questions.asked():
                if not found.is_open_at(now_s):
                    self._settle(found, Move.TIME, "", now_s)
            self._look_ahead()
            self._close_settled(now_s)
        self._hearing, self._unheard = self._unheard, []
        for event in self._hearing:
            self.hear_event(event, owner, now_s)

    def drain(self) -> tuple[Event, ...]:
        """What was signed since the last time, to be published."""
        return self._notices.drain()

    def undo(self, now_s: float) -> None:
        """Forget what a transaction that failed has done; look at everything again, soon."""
        self._notices.drain()
        self._unheard, self._hearing = [*self._hearing, *self._unheard], []
        self.next_s = now_s + AGAIN_S

    def _look_ahead(self) -> None:
        self.next_s = min((one.deadline_s for one in self._questions.asked()), default=math.inf)

    # The question

    def earlier(self, client: str, request: Request, body: str) -> Question | None:
        """The question that this request, or the same under another id, has led to before.

        Raises Refused where the id was used for another request.
        """
        found = self._questions.of_request(client, request.id)
        # Attack: another template under the id of one that the owner is just reading.
        if found is not None and found.body != body:
            raise refused(Prefix.INVALID, "this id was used for another request already")
        found = found or self._questions.of_body(client, body)
        return found or self._questions.joined(client, body)

    def ask(
        self,
        client: str,
        request: Request,
        body: str,
        template: Template,
        taken: Sequence[Cost],
        group: str | None,
        once: str | None,
        owner: str | None,
        now_s: float,
    ) -> Question:
        """Ask the owner about a template, or find that they were asked. Raises Refused.

        taken: what asking costs. group: whose session asks, None for a login. once: the event's
        once-key, where it counts.
        """
        found = self._questions.of_run(template.id)
        if found is None and once is not None:
            found = self._questions.of_once(once)
            if found is not None and approval.may_be_asked_anew(found, client):
                found = None
        if found is not None:
            # Attack: learn what another conversation asked by naming its once-key.
            if (found.group, found.template.kind) != (group or "", template.kind):
                raise refused(Prefix.RESTRICTED, "this once-key is used elsewhere")
            if found.client != client:
                # So that its template, which grows too old, is not judged or asked about anew.
                self._questions.join(client, body, found.run)
            return found
        if self._roles.bridge_of(client) is not None:
            last = self._questions.last_of(client)
            before = approval.again(last, template, now_s) if last is not None else None
            if isinstance(before, Refusal):
                raise Refused(before)
            if before is not None:
                return before
        if owner is None:
            raise refused(Prefix.RESTRICTED, "no owner is named yet who could be asked")
        if len(self._questions.asked()) >= self._ceiling.caps.open_questions:
            raise refused(
                Prefix.RATE_LIMITED,
                f"{self._ceiling.caps.open_questions} questions wait for the owner already; "
                "ask when they are settled, which takes ten minutes at most",
            )
        who = question.asker(group, self._roles.main, self._roles.bridge_of(client))
        note = question.note(template, who, self._targets(template))
        if isinstance(note, Refusal):
            raise Refused(note)
        deadline_s = now_s + question.LIFE_S
        code = secrets.token_hex(question.CODE_BYTES)
        words = question.text(note, code, int(deadline_s))
        # Attack: two events of which the owner is shown the same.
        if self._questions.of_text(words) is not None:
            raise refused(Prefix.INVALID, "another event would be asked about like this")
        self._charge(taken)
        asked = Question(
            run=template.id,
            code=code,
            template=template,
            client=client,
            request=request.id,
            body=body,
            group=group or "",
            once=once,
            text=words,
            asked_s=now_s,
            deadline_s=deadline_s,
        )
        self._questions.keep(asked)
        self._questions.show_text(asked)
        for shown in self._notices.ask(asked, note, owner, now_s):
            self._questions.show(shown.id, asked.run)
        self._note(client, request.method, f"asked about kind {template.kind}", asked.run, now_s)
        log.info("owner asked", run=asked.run, kind=template.kind, client=client)
        self._look_ahead()
        return asked

    def _targets(self, template: Template) -> dict[str, Event]:
        """The events that a retraction names, as far as they were signed here."""
        if template.kind != Kind.DELETION:
            return {}
        named = (self._ledger.signed(event_id) for event_id in template.values("e"))
        known = {event.id: event for event in named if event is not None}
        # Attack: make another conversation's messages go, under ids that no owner can place.
        if any(event.tag("h") is not None for event in known.values()):
            raise refused(
                Prefix.RESTRICTED, "what was said in a conversation is not retracted in public"
            )
        return known

    def seal(self, recipient: str, rumor: Template, owner: str | None) -> None:
        """See what is about to be sealed for somebody. Raises Refused."""
        if recipient == owner:
            are_open = self.next_s < math.inf
            sealed_questions.see(self._questions, rumor, owner, are_open=are_open)

    # The answer

    def postpone(self, event: Event) -> None:
        """Keep an answer for the next batch in which things are signed at all."""
        self._unheard.append(event)

    def hear_event(self, event: Event, owner: str | None, now_s: float) -> None:
        """Take a 46030 or 46031 from the relay, which is transport and proves nothing."""
        try:
            said = approval.read_event(event, owner or "")
        except Malformed as error:
            log.warning("answer set aside", event_id=event.id, reason=str(error))
            return
        found = self._questions.of_run(said.named)
        if found is None or approval.why_not(found, said, now_s) is not None:
            log.info("answer settles nothing", event_id=event.id, run=said.named)
            return
        self._answer(found, said, f"kind {event.kind}", now_s)

    def hear_rumor(self, rumor: Template, owner: str | None, now_s: float) -> bool:
        """Take what was opened from a wrap, its author proved; say whether it was an answer."""
        said = approval.read_rumor(rumor, owner) if owner is not None else None
        if said is None:
            return False
        match self._questions.named(said.named):
            case [found]:
                if found.settled_by == said.id:
                    return True  # the same message, opened again
                if (why := approval.why_not(found, said, now_s)) is None:
                    self._answer(found, said, f"rumor of kind {rumor.kind}", now_s)
                    return True
            case []:
                if rumor.kind == Kind.REACTION or len(said.named) == 64:
                    return False  # to something else that was said
                why = f"No question of mine has a code that begins with {said.named}."
            case _:
                # Attack: a second question whose code begins like the first's.
                why = (
                    f"More than one question's code begins with {said.named}; give more of its "
                    "digits."
                )
        # Attack: the same wrap brought again and again, for a signature each time.
        if self._questions.tell(said.id):
            self._notices.say(f"⚠️ {why}", now_s)
        return True

    def _answer(self, found: Question, said: Said, how: str, now_s: float) -> None:
        outcome = "yes" if said.yes else "no"
        self._note(said.id, "approval", f"the owner says {outcome}, {how}", found.run, now_s)
        log.info("owner answered", run=found.run, yes=said.yes, how=how)
        reason = self._barred(found) if said.yes else None
        move = Move.NO if not said.yes else Move.YES if reason is None else Move.BAR
        self._settle(found, move, said.id, now_s, reason or "")
        self._look_ahead()
        self._close_settled(now_s)

    def _barred(self, found: Question) -> str | None:
        """Take what signing costs; or why it is not signed although the owner says yes."""
        kind, group = found.template.kind, found.group
        # The file may have changed since the question, which a restart makes count.
        named = group in ("", self._roles.main) and self._ceiling.may_be_asked(kind)
        logins = not group and kind in self._ceiling.kinds_of_logins
        in_place = (
            not group
            or found.template.tag("h") is not None
            or self._ceiling.may_be_public(kind, group)
        )
        if not in_place or not (named or logins or kind in self._ceiling.kinds_of(group)):
            return f"Kind {kind} is above the ceiling now."
        try:
            if found.once is not None and self._ledger.signed_once(found.once) is not None:
                return "The agent has used its once-key for something else meanwhile."
            self._charge(costs.of_approved(group or None, self._ceiling))
        except Refused as error:
            return f"The signer refused: {error.refusal.sentence}."
        return None

    def _settle(self, found: Question, move: Move, by: str, now_s: float, reason: str = "") -> None:
        """Make the one move that a question makes, and sign where it says so."""
        state = TABLE[found.state, move]
        self._questions.keep(replace(found, state=state, settled_by=by, reason=reason))
        if state is not State.APPROVED:
            return
        # Exactly what was asked about: its id is the run.
        event = self._notices.sign(found.template, found.once)
        if event.id != found.run:
            raise AssertionError("a run's template has another id")
        if self._ledger.answer(found.client, found.request) is None:
            self._ledger.keep_answer(
                found.client, found.request, Answer(found.body, None, event.id)
            )
        self._note(
            found.client, "sign_event", f"signed kind {event.kind}, approved", event.id, now_s
        )

    # The end

    def published(self, event_id: str, refusal: Refusal | None, now_s: float) -> None:
        """Note what the relay said of an event; where it was an approved one its owner is told."""
        if self._questions.judge(event_id, "" if refusal is None else str(refusal)):
            self.next_s = min(self.next_s, now_s)

    def close(self, now_s: float) -> None:
        """Tell of what has ended, at a batch's end."""
        if self.next_s <= now_s:
            self._close_settled(now_s)
            self._look_ahead()

    def _close_settled(self, now_s: float) -> None:
        for found, verdict in self._questions.to_close():
            self._notices.end(found, verdict, now_s)
            self._questions.close(found.run)

    def _note(self, who: str, method: str, outcome: str, run: str, now_s: float) -> None:
        self._ledger.chain.append(Entry(int(now_s), who, method, outcome, run))
