"""Shell: what is planned, and what became of it.

within: the one conversation (a group's UUID) in which it is asked and of which alone is told; None
in main, whose owner may ask for any.
"""

from __future__ import annotations

from bot.commands import asked, task_replies
from bot.commands.facts import Reply
from bot.commands.hands import Hands
from bot.commands.history import History
from bot.commands.run_facts import run_facts, states
from bot.tasks.keeper import TaskError


class TaskReadings:
    """The answers to what is asked about tasks."""

    def __init__(self, hands: Hands, history: History) -> None:
        self._hands, self._history = hands, history

    async def answer(
        self,
        command: asked.ListTasks | asked.ShowTask | asked.TaskRuns,
        within: str | None = None,
    ) -> Reply:
        """Look it up. Raises TaskError, RegistryError."""
        hands, desk = self._hands, self._hands.tasks
        now_s = hands.author.now_s()
        match command:
            case asked.ListTasks(word):
                group = self._group(word, within)
                return task_replies.tasks(desk.list(group), now_s, with_group=group is None)
            case asked.ShowTask(word):
                return task_replies.task(desk.facts(desk.keeper.find(word, within).task), now_s)
            case asked.TaskRuns(word, count):
                task = desk.keeper.find(word, within).task
                at = states(hands)
                address = task.address(hands.author.pubkey)
                runs = await self._history.last_runs(count, task=address)
                facts = await run_facts(runs, at, hands, self._history)
                return task_replies.task_runs(task.title, facts, now_s)

    def _group(self, word: str | None, within: str | None) -> str | None:
        if word is None:
            return within
        if within is not None:
            # Attack: an admin of one conversation has another one's plans shown.
            raise TaskError("Here is told what is planned here. Leave the name out.")
        return self._hands.registry.find(word).id
