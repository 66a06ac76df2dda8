"""Shell: the commands that change nothing: what is asked for, looked up and put into words."""

from __future__ import annotations

import asyncio

from bot.commands import asked, logs, published, replies
from bot.commands.amounts import money
from bot.commands.facts import Reply, StatusFacts, Waiting, as_data
from bot.commands.group_facts import WORKING, group_facts, limits_of, spent_of
from bot.commands.hands import Hands
from bot.commands.history import History
from bot.commands.run_facts import folder_of, run_facts, states
from bot.commands.task_readings import TaskReadings
from bot.publications import Publications

QUESTION_CHARS = 300
ALL = "all"


class Readings:
    """The answers to `asked.Reading`."""

    def __init__(self, hands: Hands, history: History) -> None:
        self._hands, self._history = hands, history
        self._tasks = TaskReadings(hands, history)
        self._publications = Publications(hands.author, hands.roles)

    async def answer(self, command: asked.Reading) -> Reply:
        """Look it up. Raises RegistryError where a group is not told from others."""
        now_s = self._hands.author.now_s()
        match command:
            case asked.Help(about):
                return replies.help_of(about)
            case asked.Status():
                return replies.status(await self._status(now_s), now_s)
            case asked.ListGroups():
                return replies.groups(
                    [group_facts(each, self._hands) for each in self._hands.registry.all()]
                )
            case asked.ShowGroup(word):
                return replies.group(
                    group_facts(self._hands.registry.find(word), self._hands, whole=True)
                )
            case asked.ListRuns() | asked.ShowRun():
                return await self._runs(command, now_s)
            case asked.ListTasks() | asked.ShowTask() | asked.TaskRuns():
                return await self._tasks.answer(command)
            case asked.Relays() | asked.Signal() | asked.ListPublished():
                return await self._outside(command, now_s)
            case asked.Logs(count):
                folder = self._hands.logs
                return replies.logs(await asyncio.to_thread(logs.last_warnings, folder, count))
            case asked.ListStrangers():
                return self._strangers(now_s)
            case asked.ListQuestions():
                return self._questions(now_s)
            case asked.ShowBudget(word):
                return self._budgets(word)
            case asked.ShowModels(word):
                return self._models(word)
            case asked.ShowPersona(word):
                return self._persona(word)

    # How it is

    async def _status(self, now_s: int) -> StatusFacts:
        hands = self._hands
        relays, signal, engine = await asyncio.gather(
            self._history.relays(), self._history.signal(), hands.engine()
        )
        listened = None
        # At the start none is listened to yet, and nothing is wrong.
        if any(relay.state != "connecting" or relay.reason for relay in relays.relays):
            listened = (sum(relay.is_well for relay in relays.relays), len(relays.relays))
        groups = [group.binding for group in hands.registry.all() if group.binding]
        states = [each.state for each in hands.dispatch.states()]
        today = next((s for s in hands.spending.status(ALL) if s.group == ALL), None)
        return StatusFacts(
            name=hands.personas.of(None).name or "I",
            up_s=now_s - hands.began_at,
            signer=hands.signer(),
            engine=engine,
            relays=listened,
            set_aside=relays.messages.get("set_aside", 0),
            groups=sum(not binding.archived for binding in groups),
            archived=sum(binding.archived for binding in groups),
            paused=sum(binding.paused and not binding.archived for binding in groups),
            working=sum(state in WORKING for state in states),
            waiting=sum(state not in WORKING for state in states),
            today=spent_of(today) if today else None,
            questions=len(hands.questions.open()),
            strangers=len(hands.strangers.all()),
            models=len(hands.models),
            signal=signal,
        )

    async def _outside(
        self, command: asked.Relays | asked.Signal | asked.ListPublished, now_s: int
    ) -> Reply:
        match command:
            case asked.Relays():
                return replies.relays(await self._history.relays(), now_s)
            case asked.Signal():
                return replies.signal(await self._history.signal(), now_s)
        found = await self._publications.last(command.count)
        return published.reply([published.facts_of(one) for one in found], now_s)

    # Which group is meant

    def _named(self, word: str | None) -> str | None:
        return None if word is None else self._hands.registry.find(word).id

    # Runs

    async def _runs(self, command: asked.ListRuns | asked.ShowRun, now_s: int) -> Reply:
        hands, history = self._hands, self._history
        at = states(hands)
        if isinstance(command, asked.ShowRun):
            run = await history.run(command.run)
            if run is None:
                return Reply(False, f"There is no run that begins with {command.run}. See /runs.")
            return replies.run((await run_facts([run], at, hands, history))[0], now_s)
        runs = await history.last_runs(command.count, self._named(command.group))
        return replies.runs(await run_facts(runs, at, hands, history), now_s)

    # Who waits

    def _strangers(self, now_s: int) -> Reply:
        waiting = [Waiting(code, words) for code, words in self._hands.strangers.open()]
        return replies.waiting(
            waiting, now_s,
            head="At the door:", none="Nobody is at the door.",
            how="/allow CODE [NAME] lets one in, /deny CODE never shows them again.",
        )  # fmt: skip

    def _questions(self, now_s: int) -> Reply:
        waiting = [
            Waiting(each.code, _line(each.words, QUESTION_CHARS), each.asked_at)
            for each in self._hands.questions.open()
        ]
        return replies.waiting(
            waiting, now_s,
            head="Waiting for your yes or no:", none="Nothing waits for your yes or no.",
            how="/approve CODE or /deny CODE",
        )  # fmt: skip

    # Limits, models, persona

    def _budgets(self, word: str | None) -> Reply:
        group = None if word is None else ALL if word.casefold() == ALL else self._named(word)
        lines, data = [], []
        for status in self._hands.spending.status(group):
            name = "Everything" if status.group == ALL else folder_of(status.group, self._hands)
            used, limit = spent_of(status), limits_of(status.limit)
            if (
                word is None
                and status.group != ALL
                and not (money(used, zero=False) or money(limit))
            ):
                continue
            lines.append(
                f"{name}: {money(used, zero=False) or 'nothing'} of {money(limit) or 'no limit'}"
            )
            data.append({"group": name, "used": as_data(used), "limit": as_data(limit)})
        how = "/budget GROUP runs +10 is more for today, /budget GROUP runs 50 for good."
        return Reply(True, "\n".join(["Used today (UTC), and the limits:", *lines, how]), data)

    def _models(self, word: str | None) -> Reply:
        configured = self._hands.models
        head = f"Configured: {', '.join(configured) or 'none; nostrclaw model add'}"
        if word is not None:
            group = self._hands.registry.find(word)
            own = group.binding.models if group.binding else None
            allowed = configured if own is None else own
            text = f"{group.name or word} may use: {', '.join(allowed) or 'none'}"
            return Reply(True, f"{text}\n{head}", {"allowed": allowed, "configured": configured})
        others = [
            f"{group.binding.folder}: {', '.join(group.binding.models) or 'none'}"
            for group in self._hands.registry.all()
            if group.binding and group.binding.models is not None
        ]
        rest = ["All others: as configured"] if others else ["Every conversation may use them."]
        return Reply(True, "\n".join([head, *others, *rest]), {"configured": configured})

    def _persona(self, word: str | None) -> Reply:
        group = self._named(word)
        own, inforce = self._hands.personas.own(group), self._hands.personas.of(group)
        lines = [
            f"Name: {inforce.name or 'none'}",
            f"Picture: {inforce.picture or 'none'}",
            f"Text: {_line(inforce.text, 600) if inforce.text else 'none'}",
        ]
        if word is not None:
            mine = ", ".join(own.to_json()) or "nothing"
            lines.append(f"Of its own here: {mine}")
        return Reply(True, "\n".join(["The persona:", *lines]), inforce.to_json())


def _line(text: str, most: int) -> str:
    shown = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"
