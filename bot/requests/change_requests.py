"""Shell: `propose_change`: a patch to this program, put before the owner in main, and no more.

The router writes it, since a session's words in main are the bot's or nobody's: it is for reading,
and nothing here or anywhere applies it but `nostrclaw changes apply` on the machine.
"""

from __future__ import annotations

from collections import OrderedDict

from bot.author import Author, is_duplicate
from bot.notice import HERE_ONLY
from bot.operate import diff
from bot.requests.methods import Asked
from nips import nip34
from nips.event import Tags
from nips.own.roles import Roles
from nips.refusal import Prefix, Refused, refused

MAX_OF_A_JOB = 5
JOBS_COUNTED = 1_000


class ChangeRequests:
    """author: the router's hands."""

    def __init__(self, author: Author, roles: Roles) -> None:
        self._author, self._roles = author, roles
        self._jobs: OrderedDict[str, int] = OrderedDict()

    async def propose_change(self, asked: Asked) -> str:
        """`[title, patch]`: a kind 1617 in main. Main's."""
        # Attack: another group's agent, which reads no source, has the owner read its patch.
        if not asked.session.is_main:
            raise refused(
                Prefix.RESTRICTED, "changes are proposed in the owner's own conversation only"
            )
        title, text = asked.take(2, 2, "a title and a patch")
        nip34.checked(title, text)
        diff.parse(text)  # whoever proposes hears at once what nobody could apply
        more: Tags = (("o", asked.once("change")), HERE_ONLY, ("L", "agent"), ("l", "ai", "agent"))
        template = nip34.template(
            self._author.pubkey,
            self._roles.main,
            asked.session.job.id,
            title,
            text if text.endswith("\n") else f"{text}\n",
            self._author.now_s(),
            more,
        )
        self._count(asked.session.job.id)
        event = self._author.sign(template)
        ok = await self._author.link.publish(event)
        if ok.refusal is not None and not is_duplicate(ok):
            raise Refused(ok.refusal)
        return (
            "proposed. Nothing is changed by it: your owner reads it on the machine with "
            f"`nostrclaw changes show {event.id[:12]}` and applies it, or does not"
        )

    def _count(self, job: str) -> None:
        n_asked = self._jobs.pop(job, 0) + 1
        self._jobs[job] = n_asked
        while len(self._jobs) > JOBS_COUNTED:
            self._jobs.popitem(last=False)
        if n_asked > MAX_OF_A_JOB:
            raise refused(Prefix.RATE_LIMITED, f"one request may propose {MAX_OF_A_JOB} changes")
