"""Shell: what conversations use by the day, held against their budgets.

Nothing of it is only here. Runs are the 43001s that are on the relay; tokens and money the model
proxy tells in absolute numbers, again and again until a job's cost is filed, and they are on the
relay before it is answered; so are the owner's raises. A start after a kill counts the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

import structlog

from bot import budgets
from bot.author import Author, of_kinds
from bot.budgets import Budgets, Spent, Status
from bot.filing import Filing
from bot.groups import Group
from bot.notice import notice
from nips.event import Event, Tag
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import day_budget, spent
from nips.own.audit_head import day_of
from nips.own.binding import Budget
from nips.own.day_budget import ALL, DayBudget, Raise
from nips.own.model_scope import ModelScope
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.client import Caller

DAY_S = 86_400
MAX_RECENT = 2_000  # jobs whose use is remembered for who asks
log = structlog.get_logger()


class Spending:
    """groups: gives a group by its id. signer: the way to the signer. now_s: unix seconds."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        groups: Callable[[str], Group | None],
        signer: Caller,
        defaults: Budgets,
        now_s: Callable[[], int] | None = None,
    ) -> None:
        self._author, self._roles, self._groups = author, roles, groups
        self._filing, self._defaults = Filing(author, roles, signer), defaults
        self._now_s = now_s or author.now_s
        self._days: dict[str, DayBudget] = {}
        self._written_at: dict[str, int] = {}
        self._writing = asyncio.Lock()
        self._runs: dict[str, set[str]] = {}
        self._runs_day = ""
        self._said: set[tuple[str, ...]] = set()  # today; what spares the relay duplicates
        self._recent: OrderedDict[str, spent.Spent] = OrderedDict()

    async def load(self) -> None:
        """Count what was used so far today. Before it every day is a new one."""
        router = frozenset({self._roles.router})
        midnight = self._now_s() // DAY_S * DAY_S
        requests = await self._author.stored(
            [Filter(authors=router, kinds=of_kinds(Kind.JOB_REQUEST), since=midnight)]
        )
        for event in requests:
            self.began(event.tag("h") or "", event.id, event.created_at)
        for event in await self._author.stored(
            [Filter(authors=router, kinds=of_kinds(Kind.APP_DATA), since=midnight)]
        ):
            if day_budget.is_one(event):
                self._learn(event)

    def began(self, group: str, job: str, created_at: int) -> None:
        """Count a job, told as often as you like, by the day of its 43001."""
        self._turn_the_day()
        if day_of(created_at) == self._runs_day:
            self._runs.setdefault(group, set()).add(job)

    # Whether a run begins

    def why_not(self, group: str) -> str | None:
        """Why no job may begin in this group now, as in "20 of 20 runs"; None when one may."""
        return self._reached(group) or self._reached(ALL)

    def scope(self, group: str, models: ModelScope | None) -> ModelScope | None:
        """What a session of this group may ask of language models, of what is configured."""
        found = self._groups(group)
        names = found.binding.models if found and found.binding else None
        return budgets.scope(models, names, self._limit(group), self._limit(ALL))

    async def tell(self, group: str, message: Event | None = None) -> None:
        """Say that a budget is reached: there once a day, and once to the owner in main.

        Said again on the same day only after a raise that was used up too. message: the one that
        makes no job.
        """
        why, everything = self._reached(group), False
        if why is None:
            why, everything = self._reached(ALL), True
        if why is None:
            return
        raises = len(self._day(group).raised) + len(self._day(ALL).raised)
        once = (group, self._today(), str(raises))
        if ("budget-asked", *once) in self._said:
            return
        if message is not None and await self._is_work(message.id):
            return
        is_main, name = group == self._roles.main, self._name(group)
        words = budgets.asked_of_owner(name, why, everything=everything, is_main=is_main)
        if not is_main:
            about: list[Tag] = []
            if message is not None:
                about = [("q", message.id), ("p", message.pubkey)]
            there = budgets.told_there(why, everything=everything)
            await self._say(("budget", *once), there, about, group)
        await self._say(("budget-asked", *once), words)

    async def _is_work(self, message: str) -> bool:
        """Say whether the message was made work before, by the last run that there was: one that
        is read again after a crash."""
        router = frozenset({self._roles.router})
        one = frozenset({message})
        wanted = [
            Filter(authors=router, kinds=of_kinds(Kind.JOB_REQUEST), tags={"e": one}),
            Filter(authors=router, kinds=of_kinds(Kind.JOB_PROGRESS), tags={"q": one}),
        ]
        return bool(await self._author.link.fetch(wanted))

    # What the owner sees and changes

    def status(self, group: str | None = None) -> list[Status]:
        """Today's budgets: of one group (or ALL), or of all together and every group that is a
        conversation."""
        if group is not None:
            return [self._status(group)]
        known = {*self._runs, *self._days} - {ALL}
        return [self._status(ALL), *(self._status(one) for one in sorted(known))]

    async def raise_today(
        self, group: str, *, once: str, runs: int = 0, tokens: int = 0, microusd: int = 0
    ) -> Status:
        """Allow a group, or ALL, more for today; a second time with the same `once` changes
        nothing. Raises Malformed when the day was raised too often."""
        async with self._writing:
            more = Raise(once, runs, tokens, microusd)
            await self._keep(self._day(group).raised_by(more))
        return self._status(group)

    def of_job(self, job: str) -> spent.Spent | None:
        """What a job has used of language models, as told since this process began."""
        return self._recent.get(job)

    # What the proxy tells

    async def hear(self, text: str) -> str:
        """Take in what the model proxy tells (the request `spent`); returns its answer.

        Raises Malformed, and Refused where the relay does not take what must be kept.
        """
        told = spent.parse(text)
        self._recent[told.job] = told
        self._recent.move_to_end(told.job)
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)
        async with self._writing:
            await self._note(told)
        if told.refused is not None:
            await self._tell_of_refusal(told, told.refused)
        return await self._filing.file(told)

    async def _note(self, told: spent.Spent) -> None:
        known = self._days.get(told.group)
        if known is not None and told.day < known.day:
            return  # told late; that day's account is closed
        raised = known.raised if known is not None and known.day == told.day else ()
        sums = told.group_day
        await self._keep(DayBudget(told.group, told.day, sums.tokens, sums.microusd, raised))

    async def _tell_of_refusal(self, told: spent.Spent, refused: spent.Refused) -> None:
        is_main, name = told.group == self._roles.main, self._name(told.group)
        words = budgets.refused_in_a_run(name, refused, is_main=is_main)
        raises = len(self._day(told.group).raised) + len(self._day(ALL).raised)
        await self._say(("budget-refused", told.group, told.day, str(raises)), words)

    # The days

    def _today(self) -> str:
        return _named(self._now_s() // DAY_S)

    def _turn_the_day(self) -> None:
        if self._runs_day != (today := self._today()):
            self._runs_day, self._runs, self._said = today, {}, set()

    def _day(self, group: str) -> DayBudget:
        known, today = self._days.get(group), self._today()
        return known if known is not None and known.day >= today else DayBudget(group, today)

    def _limit(self, group: str) -> Budget:
        if group == ALL:
            return self._day(ALL).limit(self._defaults.everything)
        found = self._groups(group)
        own = found.binding.budget if found and found.binding else budgets.UNLIMITED
        return self._day(group).limit(budgets.own_or(own, self._defaults.group))

    def _spent(self, group: str) -> Spent:
        self._turn_the_day()
        if group == ALL:
            today = self._today()
            days = [day for day in self._days.values() if day.group != ALL and day.day >= today]
            return Spent(
                sum(map(len, self._runs.values())),
                sum(day.tokens for day in days),
                sum(day.microusd for day in days),
            )
        day = self._day(group)
        return Spent(len(self._runs.get(group, ())), day.tokens, day.microusd)

    def _reached(self, group: str) -> str | None:
        limit = self._limit(group)
        return None if limit == budgets.UNLIMITED else budgets.reached(limit, self._spent(group))

    def _status(self, group: str) -> Status:
        raised = self._day(group).limit(budgets.NOTHING)
        return Status(group, self._limit(group), self._spent(group), raised)

    async def _keep(self, day: DayBudget) -> None:
        """On the relay, then here. Raises Refused when the relay does not take it."""
        if self._days.get(day.group) == day:
            return
        # Of two versions in one second the lower id would win: each steps forward.
        at = max(self._now_s(), self._written_at.get(day.group, 0) + 1)
        await self._author.require(day_budget.template(day, self._roles.router, at))
        self._days[day.group], self._written_at[day.group] = day, at

    def _learn(self, event: Event) -> None:
        try:
            day = day_budget.parse(event, self._roles.router)
        except Malformed as error:
            log.warning("not understood", id=event.id[:12], reason=str(error))
            return
        self._days[day.group], self._written_at[day.group] = day, event.created_at

    def _name(self, group: str) -> str:
        found = self._groups(group)
        if found is None:
            return group
        return found.name or (found.binding.folder if found.binding else group)

    async def _say(
        self, once: tuple[str, ...], words: str, about: list[Tag] | None = None, group: str = ""
    ) -> None:
        if once in self._said:
            return
        said = notice(
            self._roles, once, words, about or (), now_s=self._now_s(), group=group or None
        )
        ok = await self._author.publish(said)
        if ok.accepted:
            self._said.add(once)
        else:
            log.error("notice refused", about=once[0], reason=ok.message)


@lru_cache(maxsize=4)
def _named(day: int) -> str:
    return day_of(day * DAY_S)
