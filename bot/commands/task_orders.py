"""Shell: the orders about tasks. Made again after a crash, each is the same task, or the same run.

within: the one conversation (a group's UUID) that the order is said in and bound to; None in main,
whose owner may say any.
"""

from __future__ import annotations

from bot.commands import asked, task_replies
from bot.commands.facts import Reply
from bot.commands.hands import Hands
from bot.tasks.keeper import TaskError
from bot.tasks.telling import named
from nips.own.task import Task


class TaskOrders:
    """The carrying out of `asked.TaskOrder`."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def do(self, order: asked.TaskOrder, once: str, within: str | None = None) -> Reply:
        """Do it. Raises TaskError, RegistryError, Refused and Malformed with a sentence."""
        desk, keeper = self._hands.tasks, self._hands.tasks.keeper
        match order:
            case asked.NewTask(wanted, word):
                task = desk.drafted(self._group(word, within), wanted, f"command/{once}")
                return self._said("Planned:", (await keeper.add(task)).task)
            case asked.EditTask(word, wanted, version):
                made = await desk.edit(self._found(word, within), wanted, version)
                return self._said("It is now:", made.task)
            case asked.PauseTask(word, on):
                made = await desk.pause(self._found(word, within), on=on)
                return self._said("Paused:" if on else "Goes on:", made.task)
            case asked.CancelTask(word):
                task = self._found(word, within)
                await keeper.cancel(task)
                facts = desk.facts(task)
                text = f"Cancelled: {named(facts)}."
                return Reply(True, text, {"id": facts.id, "group": facts.group})
            case asked.RunTask(word):
                task = self._found(word, within)
                await desk.run_now(task, f"command/{once}")
                return self._said("It runs now, besides its times:", task)

    def _found(self, word: str, within: str | None) -> Task:
        return self._hands.tasks.keeper.find(word, within).task

    def _group(self, word: str | None, within: str | None) -> str:
        if word is None:
            return within or self._hands.roles.main
        if within is not None:
            # Attack: an admin of one conversation plans something in another one.
            raise TaskError("What is planned here is for this conversation. Leave the name out.")
        return self._hands.registry.find(word).id

    def _said(self, done: str, task: Task) -> Reply:
        return task_replies.said(done, self._hands.tasks.facts(task), self._hands.author.now_s())
