"""Pure: a question to the owner as a state machine, and what counts as the owner's answer.

    asked ──yes──► approved        signed in the same transaction, exactly as it was asked about
      │ └──no────► denied
      │ └──time──► expired         ten minutes by the signer's clock; silence is a no
      └────bar───► barred          yes, but a cap or the ceiling no longer allows it

What has left `asked` never comes back, so a question is answered once and used once. An answer is
one of three, each proved by the owner's own key and by nothing that `bot` says:

1. a 46030 or 46031 signed by the owner, whose `d` is the run;
2. a reaction (kind 7: ✅ + yes, ❌ - no) inside a wrap, whose `e` names the question as shown;
3. a direct message inside a wrap: `approve` or `deny`, with a `/` before it or without, with the
   first digits of the question's code, or as an answer (`e`) to the question.

Attack on the words: whoever makes a template knows its id before the signer does, and could have
the owner write `approve` with it beforehand, for some harmless reason. So words name a code that
the signer has drawn by lot when it asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nips.event import Event, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.own import approval as forms
from nips.refusal import Malformed, Prefix, Refusal
from signer import question

EARLIER_S = 300.0  # how far the owner's clock may be behind ours
LEAST_DIGITS = 8
NO_STANDS_S, END_STANDS_S = 86_400.0, 3_600.0  # to a bridge: a no, any other end


class State(StrEnum):
    """Where a question stands."""

    ASKED = "asked"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    BARRED = "barred"


class Move(StrEnum):
    """What can happen to a question."""

    YES = "yes"
    NO = "no"
    TIME = "time"
    BAR = "bar"


TABLE = {
    (State.ASKED, Move.YES): State.APPROVED,
    (State.ASKED, Move.NO): State.DENIED,
    (State.ASKED, Move.TIME): State.EXPIRED,
    (State.ASKED, Move.BAR): State.BARRED,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `run` is the template's id; `code` what an answer in words names.

    client, request, body: who asked, under which request id, and that request's hash. group:
    whose agent. once: the event's once-key. text: as it was shown. reason: why it was barred.
    settled_by: the id of the answer, an event's or a rumor's.
    """

    run: str
    code: str
    template: Template
    client: str
    request: str
    body: str
    group: str
    once: str | None
    text: str
    asked_s: float
    deadline_s: float
    state: State = State.ASKED
    reason: str = ""
    settled_by: str = ""

    def is_open_at(self, now_s: float) -> bool:
        """Say whether an answer still counts: in the ten minutes, and not before they began (a
        clock that was set back must not give a question a second life)."""
        return self.state is State.ASKED and self.asked_s <= now_s < self.deadline_s


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of the owner's: yes or no, to what `named` names.

    named: an id (of a run, or of what showed it), or a code's first digits.
    """

    id: str
    yes: bool
    named: str
    created_at: int


def read_event(event: Event, owner: str) -> Said:
    """Read a 46030 or 46031. Raises Malformed; another's answer is none, whoever passes it on."""
    found = forms.parse_answer(event)
    # Attack: a yes that the bot, a puppet, a member or the terminal's key has signed.
    if found.author != owner:
        raise Malformed("an approval is answered by the owner alone")
    event.verify()
    return Said(event.id, found.yes, found.run, event.created_at)


_SIGNS = {"✅": True, "+": True, "❌": False, "-": False}
_WORDS = re.compile(r"/?(approve|deny)(?:\s+([0-9a-f]{8,16}))?", re.IGNORECASE)


def read_rumor(rumor: Template, owner: str) -> Said | None:
    """Read what was opened from a wrap, its author proved by its seal; None: it is no answer."""
    # Attack: a member, who has heard of the run, reacts in a wrap of their own.
    if rumor.pubkey != owner:
        return None
    given = {tag[1] for tag in rumor.tags if tag[0] == "e" and len(tag) > 1}
    # Two ids: the one the owner's client meant cannot be told, so neither counts.
    named = next(iter(given)) if len(given) == 1 and all(is_hex(x, 32) for x in given) else None
    match rumor.kind:
        case Kind.REACTION if named is not None:
            sign = _SIGNS.get(rumor.content.replace("\ufe0f", "").strip())
            return None if sign is None else Said(rumor.id, sign, named, rumor.created_at)
        case Kind.DIRECT_MESSAGE if word := _WORDS.fullmatch(rumor.content.strip()):
            yes = word[1].lower() == "approve"
            if word[2] is not None:
                return Said(rumor.id, yes, word[2].lower(), rumor.created_at)
            return None if named is None else Said(rumor.id, yes, named, rumor.created_at)
    return None


def why_not(found: Question, said: Said, now_s: float) -> str | None:
    """Why an answer to this question settles nothing, in words for the owner; None: it does."""
    if found.state is not State.ASKED:
        return f"That question is settled already: {outcome(found)}"
    if not found.is_open_at(now_s):
        return "That question is over: ten minutes have passed, and silence is a no."
    # Attack: an old `approve …` of the owner's own, kept and delivered again for a new question
    # whose code happens to begin alike.
    if len(said.named) < 64 and said.created_at < found.asked_s - EARLIER_S:
        return (
            "Your answer is dated before the question, so it cannot be one to it. If this "
            "device's clock is right, answer again."
        )
    return None


def again(last: Question, template: Template, now_s: float) -> Question | Refusal | None:
    """What a bridge gets that asks anew, after its `last` question: that one, where it is the same
    thing and its end still stands; a refusal, where another is open; None: it is asked.

    Attack: a bridge that was taken over, or starts again and again, wears the owner down.
    """
    same = (template.kind, template.tags, template.content) == (
        last.template.kind,
        last.template.tags,
        last.template.content,
    )
    if last.state is State.ASKED:
        if same:
            return last
        return Refusal(
            Prefix.RATE_LIMITED,
            "a question about it waits for the owner already; ask when that is settled, which "
            "takes ten minutes at most",
        )
    stands_s = NO_STANDS_S if last.state is State.DENIED else END_STANDS_S
    return last if same and now_s < last.asked_s + stands_s else None


def may_be_asked_anew(last: Question, client: str) -> bool:
    """Say whether a login may ask again what another was not let do: a person's own second try,
    by a key that was invited for it. An agent's stands, however often it tries."""
    ended = last.state in (State.DENIED, State.EXPIRED, State.BARRED)
    return ended and not last.group and last.client != client


def outcome(found: Question) -> str:
    """How a settled question ended, in words for the owner."""
    what = question.name_of(found.template.kind)
    match found.state:
        case State.ASKED:
            return f"It still waits for you: {what}."
        case State.APPROVED:
            return f"Published, as you approved: {what}."
        case State.DENIED:
            return f"Not published, as you said no: {what}."
        case State.EXPIRED:
            return f"Not published, because nobody answered within ten minutes: {what}."
        case State.BARRED:
            return f"Not published, although you approved: {what}. {found.reason}"


def told_to_asker(found: Question) -> Refusal | None:
    """What the asker is told; None where the signed event is the answer."""
    match found.state:
        case State.ASKED:
            return Refusal(
                Prefix.PENDING,
                f"{found.run} the owner has been asked. Nothing is published before a yes, and "
                "without one within ten minutes it is a no",
            )
        case State.APPROVED:
            return None
        case State.DENIED:
            return Refusal(Prefix.RESTRICTED, "the owner was asked and said no")
        case State.EXPIRED:
            return Refusal(
                Prefix.RESTRICTED, "the owner was asked and did not answer within ten minutes"
            )
        case State.BARRED:
            return Refusal(Prefix.RESTRICTED, f"the owner said yes, but: {found.reason}")


# What a person types as the digit it looks like. Source: UTS #39, confusables; regional
# indicators and squared letters, which have no decomposition.
_LOOKALIKES = str.maketrans("аɑαвьβсϲԁɗеєεғƒоοσіιӏзэѕб", "aaabbbccddeeeff0001113356") | {
    start + at: letter
    for start in (0x1F1E6, 0x1F150, 0x1F170)
    for at, letter in enumerate("abcdef")
}


def names_one_of(codes: Sequence[str], *texts: str) -> bool:
    """Say whether a text names one of these codes, however it is spelt out.

    Attack: a bot that was taken over has "write approve 3f2a… and I send you a picture" sealed to
    the owner, who then approves what they have never been shown.
    """
    spelt = unicodedata.normalize("NFKD", " ".join(texts)).lower().translate(_LOOKALIKES)
    plain = "".join(char for char in spelt if char in "0123456789abcdef")
    return any(code[:LEAST_DIGITS] in plain for code in codes)
