"""Shell: what an agent may not have by itself: asked of the owner, kept, settled once, done.

    ask ─► open ──/approve──► approved ──► done
             ├────/deny─────► denied   (told, where that was all that was asked)
             └── an hour ───► counts as denied

Each step is a version of one record under compare and set, so a kill at any instant leaves one of
them: an approved question whose deeds were cut off is done at the next start (each deed can be
done again), an open one waits on. The notice to the owner has a once-key made of the code. The
code comes from a secret of the router's, so no agent can speak of it before the owner has seen it;
and only a command of the owner's settles it, which no agent can send (`bot/commands`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bot.author import Author, of_kinds
from bot.codes import code_of
from bot.notice import notice
from bot.requests import asking
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import question as questions
from nips.own.deed import Deed, Hear
from nips.own.question import Question, State
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refused, refused

MAX_OPEN_OF_A_GROUP = 5
MAX_OPEN = 500
SECRET_LABEL = b"nostrclaw question v1"

# Does one deed, and says in words what was done; raises Refused with why not. `once` names the
# deed: after a crash it is called again with the same.
Doing = Callable[[Deed, str], Awaitable[str]]
# What a question's deeds do, a line each, and what the group of its agent is called.
Wording = Callable[[Question], tuple[Sequence[str], str]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for the owner: by which code, what a yes would do, since when (unix seconds),
    and in which group it was asked."""

    code: str
    words: str
    asked_at: int
    group: str


@dataclass(frozen=True, slots=True)
class _Kept:
    question: Question
    event: Event


class Questions:
    """key: the router's, of which the codes are made."""

    def __init__(
        self, author: Author, key: SecretKey, roles: Roles, do: Doing, wording: Wording
    ) -> None:
        self._author, self._roles, self._do, self._wording = author, roles, do, wording
        self._secret = HKDF(SHA256(), 32, None, SECRET_LABEL).derive(key.raw).hex()
        self._kept: dict[str, _Kept] = {}
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Know what is open, and finish what was approved."""
        wanted = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"t": frozenset({questions.LABEL})},
            limit=MAX_OPEN,
        )
        for event in await self._author.link.fetch([wanted]):
            self._learn(event)
        async with self._lock:
            for kept in list(self._kept.values()):
                question = kept.question
                if question.state is State.APPROVED:
                    await self._finish(question)
                elif question.waits_at(self._author.now_s()):
                    await self._tell(question)  # its once-key makes it a duplicate

    def open(self) -> tuple[Waiting, ...]:
        """What waits for the owner, oldest first."""
        return tuple(
            Waiting(one.code, "; ".join(self._wording(one)[0]), one.asked_at, one.group)
            for one in self._open()
        )

    def _open(self) -> tuple[Question, ...]:
        now_s = self._author.now_s()
        found = [kept.question for kept in self._kept.values() if kept.question.waits_at(now_s)]
        return tuple(sorted(found, key=lambda question: (question.asked_at, question.code)))

    async def ask(self, group: str, job: str, request: str, deeds: Sequence[Deed]) -> Question:
        """Ask the owner for deeds that an agent wants; the same again is the same question.

        group, job: of the session that asks; request: its request's id. Raises Refused where too
        much waits already, and where this request was answered before.
        """
        async with self._lock:
            wanted = tuple(deeds)
            for question in self._open():
                if question.group == group and question.deeds == wanted:
                    return question
            code, kept = await self._code(job, request)
            if kept is not None:  # asked by an attempt before this one
                raise refused(Prefix.DUPLICATE, _answered(kept.question))
            mine = [question for question in self._open() if question.group == group]
            if len(mine) >= MAX_OPEN_OF_A_GROUP or len(self._open()) >= MAX_OPEN:
                raise refused(
                    Prefix.RATE_LIMITED,
                    f"{len(mine)} questions of this conversation wait for the owner already; "
                    "ask when they have been answered",
                )
            question = Question(code, group, job, request, self._author.now_s(), wanted)
            await self._write(question)
            await self._tell(question)
            return question

    async def settle(self, code: str, *, yes: bool, once: str) -> str:
        """Answer a question; the caller has made sure that the owner wants it.

        once: of the command; the same again has the same answer. Returns what became of it, in
        words. Raises Refused where there is nothing to answer, or a deed did not work.
        """
        async with self._lock:
            kept = self._kept.get(code) or await self._fetch(code)
            if kept is None:
                raise refused(Prefix.INVALID, f"no question has the code {code[:12]!r}")
            question = kept.question
            if question.state is not State.OPEN and question.settled_by != once:
                raise refused(Prefix.DUPLICATE, _answered(question))
            if question.state is State.OPEN:
                if not question.waits_at(self._author.now_s()):
                    raise refused(
                        Prefix.INVALID,
                        "that question is older than an hour, which is a no; whoever wants it "
                        "asks again",
                    )
                question = question.settled(State.APPROVED if yes else State.DENIED, once)
                await self._write(question)
            if question.state is State.DENIED:
                return await self._refuse(question)
            if question.state is State.APPROVED:
                question = await self._finish(question)
            if question.outcome.startswith(FAILED):
                raise refused(Prefix.ERROR, question.outcome)
            return question.outcome

    async def _finish(self, question: Question) -> Question:
        """Have the deeds done, each once, and say how it went."""
        said = []
        for number, deed in enumerate(question.deeds):
            try:
                said.append(await self._do(deed, f"question/{question.code}/{number}"))
            except Refused as error:
                said.append(f"{FAILED} {error.refusal.sentence}")
                break
        done = question.done(" ".join(sorted(said, key=lambda words: not words.startswith(FAILED))))
        await self._write(done)
        return done

    async def _refuse(self, question: Question) -> str:
        """What follows from a no: nothing, but that who asked in words hears it."""
        said = [
            await self._do(replace(deed, yes=False), f"question/{question.code}/{number}")
            for number, deed in enumerate(question.deeds)
            if isinstance(deed, Hear)
        ]
        return " ".join(said) or "Denied. Nothing was changed."

    async def _code(self, job: str, request: str) -> tuple[str, _Kept | None]:
        """The code of a request, and what was asked under it before."""
        for attempt in range(100):
            code = code_of("question", self._secret, job, request, attempt=attempt)
            kept = self._kept.get(code) or await self._fetch(code)
            if kept is None:
                return code, None
            if (kept.question.job, kept.question.request) == (job, request):
                return code, kept
        raise refused(Prefix.ERROR, "no code is free; ask again")

    async def _fetch(self, code: str) -> _Kept | None:
        wanted = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"d": frozenset({questions.D_PREFIX + code})},
        )
        for event in await self._author.link.fetch([wanted]):
            self._learn(event)
        return self._kept.get(code)

    def _learn(self, event: Event) -> None:
        try:
            question = questions.parse(event, self._author.pubkey)
        except Malformed as error:
            log.error("question not understood", id=event.id[:12], reason=str(error))
            return
        self._kept[question.code] = _Kept(question, event)

    async def _write(self, question: Question) -> None:
        before = self._kept.get(question.code)
        # Two versions in one second tie and the lower id wins: each steps forward.
        created_at = max(self._author.now_s(), before.event.created_at + 1 if before else 0)
        prev = before.event.id if before else ""
        event = await self._author.require(
            questions.template(question, self._author.pubkey, created_at, prev)
        )
        self._kept[question.code] = _Kept(question, event)
        log.info("question", code=question.code, state=question.state.value)

    async def _tell(self, question: Question) -> None:
        lines, asker = self._wording(question)
        await self._author.publish(
            notice(
                self._roles,
                ("question", question.code),
                asking.question(question, asker, lines),
                now_s=self._author.now_s(),
            )
        )


FAILED = "That did not work:"


def _answered(question: Question) -> str:
    match question.state:
        case State.OPEN:
            return "the owner was asked for exactly this before and has not answered"
        case State.DENIED:
            return "the owner was asked for exactly this before and said no"
        case _:
            return "the owner was asked for exactly this before and said yes"
