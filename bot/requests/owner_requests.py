"""Shell: `ask_owner`: an agent puts a question of its own to its owner, and its group hears the
answer.

    ask_owner ─► a question, kept and shown in main ──/approve or /deny──► a kind 9 in the group
                                                    └── an hour ─────────► nothing

Nothing is signed or changed by an answer: it is words, which the group's agent is woken by.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.author import Author
from bot.groups import Group
from bot.notice import notice
from bot.questions import Questions
from bot.requests.asking import MAX_ASKED_BYTES
from bot.requests.methods import Asked
from nips.event import Tag
from nips.own.deed import Hear
from nips.own.question import ANSWER_TAG
from nips.own.roles import Roles
from nips.own.visible import quoted
from nips.refusal import Prefix, Refused, refused

ASKED = (
    "asked; your owner has an hour to answer, and silence is no answer. The answer comes to this "
    "conversation as a message of its own"
)


class OwnerRequests:
    """group_of: gives a group by its id."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        questions: Questions,
        group_of: Callable[[str], Group | None],
    ) -> None:
        self._author, self._roles = author, roles
        self._questions, self._group_of = questions, group_of

    async def ask_owner(self, asked: Asked) -> str:
        """`[question]`: for a yes or a no. Comes back at once."""
        (words,) = asked.take(1, 1, "a question")
        if not words.strip() or len(words.encode(errors="replace")) > MAX_ASKED_BYTES:
            raise refused(Prefix.INVALID, f"a question has 1 to {MAX_ASKED_BYTES} bytes")
        session = asked.session
        await self._questions.ask(
            session.group, session.job.id, asked.id, [Hear(session.group, words.strip())]
        )
        return ASKED

    async def hear(self, deed: Hear, once: str) -> str:
        """Tell a group what its owner answered; once, under that name. Raises Refused."""
        group = self._group_of(deed.group)
        if group is None or group.binding is None or group.binding.archived:
            raise refused(Prefix.INVALID, "that conversation is gone or archived")
        answer = "yes" if deed.yes else "no"
        about: tuple[Tag, ...] = (("p", self._roles.bot), (ANSWER_TAG, answer))
        told = notice(
            self._roles,
            (once,),
            f"My owner's answer is {answer}. I had asked:\n{quoted(deed.words)}",
            about,
            now_s=self._author.now_s(),
            here_only=True,  # whoever asked hears it; what follows from it, it says itself
            group=deed.group,
        )
        ok = await self._author.publish(told)
        if ok.refusal is not None:
            raise Refused(ok.refusal)
        return f"Your {answer} was told to the agent that had asked."
