"""Shell: a command carried out: whoever asks, in whichever way, this is the one door.

No model, no container and no signer is needed for it; what a command needs of the relay is asked
of the private one.
"""

from __future__ import annotations

import asyncio
import json
import time

import structlog

from bot.commands import asked, replies
from bot.commands.asked import Bad, Command, is_order
from bot.commands.authority import NO_ORDER, Authority
from bot.commands.facts import Reply
from bot.commands.grammar import parse
from bot.commands.hands import Hands
from bot.commands.history import History
from bot.commands.orders import Orders
from bot.commands.readings import Readings
from bot.commands.task_orders import TaskOrders
from bot.commands.task_readings import TaskReadings
from bot.registration import RegistryError
from bot.tasks.keeper import TaskError
from nips.refusal import Malformed, Refused

LONGEST_S = 30.0  # a group that is deleted waits for its container's end
ALL = "all"

log = structlog.get_logger()


class Commands:
    """hands: what they are carried out with."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._history = History(hands.author, hands.roles, hands.owner)
        self._readings, self._orders = Readings(hands, self._history), Orders(hands)

    async def prepare(self) -> None:
        """Read, in the background, what makes later answers quick."""
        await self._history.index.fill()

    async def answer(self, text: str, authority: Authority, once: str) -> Reply:
        """Read a text and do what it asks. once: names its effects, should it be asked again by
        a later process. Never raises but on cancellation."""
        command = parse(text)
        if command is None:
            sentence = "That is no command: it begins with /. /help lists them."
            return Reply(False, sentence)
        return await self.carry_out(command, authority, once)

    async def from_console(self, text: str, once: str) -> str:
        """The answer to the machine's command line, as JSON."""
        reply = await self.answer(text, Authority.OWNER, once)
        return json.dumps({"ok": reply.ok, "text": reply.text, "data": reply.data})

    async def carry_out(
        self,
        command: Command | Bad,
        authority: Authority,
        once: str,
        why: str = "",
        within: str | None = None,
    ) -> Reply:
        """Do it, or say why not. why: where its order does not count, in words. within: the one
        conversation (a group's UUID) that a command about tasks is of; None: any."""
        name, began = type(command).__name__, time.monotonic()
        if isinstance(command, Bad):
            return replies.bad(command.sentence, command.about)
        if authority is Authority.NOBODY:
            return Reply(False, "Only my owner gives me commands.")
        if is_order(command) and authority is not Authority.OWNER:
            log.warning("order not believed", command=name)
            return Reply(False, why or NO_ORDER)
        try:
            async with asyncio.timeout(LONGEST_S):
                reply = await self._do(command, once, within)
        except TimeoutError:
            reply = Reply(
                False, f"That took longer than {LONGEST_S:g} s. Look before you repeat it."
            )
        except (RegistryError, TaskError) as error:
            reply = Reply(False, str(error))
        except Malformed as error:
            reply = Reply(False, f"That cannot be: {error}.")
        except Refused as error:
            sentence = error.refusal.sentence
            reply = Reply(False, sentence[:1].upper() + sentence[1:].rstrip(".") + ".")
        except Exception:  # or one command would end the router, each time that it is read again
            log.exception("command failed", command=name)
            reply = Reply(False, "That went wrong here; /logs says that it did. I go on.")
        took_ms = round((time.monotonic() - began) * 1_000, 1)
        log.info("command", command=name, ok=reply.ok, took_ms=took_ms)
        return reply

    async def stop(self, group: str) -> Reply:
        """End what a group (its id) does."""
        count = await self._hands.dispatch.stop(group)
        return Reply(True, _stopped(count), {"stopped": count})

    async def _do(self, command: Command, once: str, within: str | None) -> Reply:
        match command:
            case _ if within is not None:
                return await self._of_tasks(command, once, within)
            case asked.Stop(what):
                return await self._stop(what)
            case _ if isinstance(command, asked.Order):
                await self._hands.settle()
                return await self._orders.do(command, once)
            case _:
                return await self._readings.answer(command)

    async def _of_tasks(self, command: Command, once: str, within: str) -> Reply:
        if isinstance(command, asked.TaskOrder):
            return await TaskOrders(self._hands).do(command, once, within)
        # Attack: whoever may plan in one conversation asks for anything else there.
        assert isinstance(command, asked.OfTasks)
        return await TaskReadings(self._hands, self._history).answer(command, within)

    async def _stop(self, what: str | None) -> Reply:
        dispatch = self._hands.dispatch
        if what is None:
            return await self.stop(self._hands.roles.main)
        if what.casefold() == ALL:
            groups = {each.job.group for each in dispatch.states()}
            counts = await asyncio.gather(*(dispatch.stop(group) for group in groups))
            return Reply(True, _stopped(sum(counts)), {"stopped": sum(counts)})
        given = what.casefold()
        jobs = [
            e.job.id for e in dispatch.states() if len(given) > 3 and e.job.id.startswith(given)
        ]
        if len(jobs) == 1:
            stopped = await dispatch.cancel(jobs[0])
            return Reply(True, _stopped(int(stopped)), {"stopped": int(stopped)})
        return await self.stop(self._hands.registry.find(what).id)


def _stopped(count: int) -> str:
    match count:
        case 0:
            return "Nothing was being worked on."
        case 1:
            return "Stopped."
    return f"Stopped {count} runs."
