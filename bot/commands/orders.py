"""Shell: the commands that change what others may do. Each may be carried out again after a crash
and then changes nothing more: it names its effect by `once`, or sets what is set already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.commands import asked
from bot.commands.amounts import dollars
from bot.commands.facts import Reply
from bot.commands.group_orders import GroupOrders, done
from bot.commands.hands import Hands
from bot.commands.task_orders import TaskOrders
from nips.own.binding import Budget

ALL = "all"
SIGNERS_CODE = frozenset("0123456789abcdef")


class Orders:
    """The carrying out of `asked.Order`."""

    def __init__(self, hands: Hands) -> None:
        self._hands, self._groups, self._tasks = hands, GroupOrders(hands), TaskOrders(hands)

    async def do(self, order: asked.Order, once: str) -> Reply:
        """Do it. Raises RegistryError, TaskError, Refused and Malformed with a sentence for
        people."""
        match order:
            case asked.Allow(code, name):
                binding = await self._hands.strangers.allow(code, name, once=once)
                said = f"Let in. The conversation is called {binding.folder}."
                return Reply(True, said, {"group": binding.group, "folder": binding.folder})
            case asked.Settle():
                return await self._settle(order, once)
            case asked.SetBudget() | asked.RaiseBudget():
                return await self._budget(order, once)
            case asked.SetPersona():
                return await self._persona(order)
            case _ if isinstance(order, asked.TaskOrder):
                return await self._tasks.do(order, once)
            case _:
                return await self._groups.do(order, once)

    async def _settle(self, order: asked.Settle, once: str) -> Reply:
        if set(order.code) <= SIGNERS_CODE:
            return Reply(
                False,
                "That code is of a question of the signer's, which believes nobody but you: answer "
                "it in a direct message to me, with ✅ or ❌ on the question, or with its buttons.",
            )
        known = {code for code, _ in self._hands.strangers.open()}
        if not order.yes and order.code in known:
            await self._hands.strangers.deny(order.code)
            return Reply(True, "Never shown again.", {"code": order.code})
        if order.yes and order.code in known:
            return Reply(False, f"That is somebody at the door: /allow {order.code} lets them in.")
        said = await self._hands.questions.settle(order.code, yes=order.yes, once=once)
        return Reply(True, said, {"code": order.code, "yes": order.yes})

    async def _budget(self, order: asked.SetBudget | asked.RaiseBudget, once: str) -> Reply:
        everything = order.group.casefold() == ALL
        if isinstance(order, asked.RaiseBudget):
            group = ALL if everything else self._hands.registry.find(order.group).id
            await self._hands.spending.raise_today(group, once=once, **order.more)
            more = _amounts(order.more)
            return Reply(True, f"{more} more for today. Send again what was not answered.")
        if everything:
            return Reply(
                False,
                "The limits of everything together are settings, in nostrclaw.toml. "
                "For today: /budget all runs +10",
            )
        found = self._hands.registry.find(order.group)
        before = found.binding.budget if found.binding else Budget()
        await self._hands.registry.change(found.id, budget=replace(before, **order.limits))
        return done(found, f"a day's limits: {_amounts(order.limits)}.")

    async def _persona(self, order: asked.SetPersona) -> Reply:
        group = None if order.group is None else self._hands.registry.find(order.group).id
        made = await self._hands.personas.change(group, **{order.part: order.value})
        if order.value is None:
            said = f"No {order.part} of its own any more."
        elif order.part == "name":
            said = f"I am {made.name}."
            if group is None:
                said += " You are asked once more before my public profile changes."
        else:
            said = f"The {order.part} is set."
        return Reply(True, said, made.to_json())


def _amounts(given: Mapping[str, int] | Mapping[str, int | None]) -> str:
    words = []
    for name, value in given.items():
        if value is None:
            words.append(f"{'usd' if name == 'microusd' else name} off")
        else:
            words.append(dollars(value) if name == "microusd" else f"{value:,} {name}")
    return ", ".join(words)
