"""Shell: commands as they come in conversations: heard, carried out, answered in the conversation.

    message ─► whose is it? ─► effects ─► kind 7 ✅ or ❌ ─► kind 9, the answer, once

The answer comes last: killed before it, the message is read again, its effects change nothing a
second time, and it is answered then. Killed after it, the answer is found and nothing is done.
"""

from __future__ import annotations

from typing import TypeGuard

import structlog

from bot.author import Author, of_kinds
from bot.commands import asked
from bot.commands.asked import Bad, Command, is_order
from bot.commands.authority import (
    Authority,
    is_said_by_a_person,
    may_stop,
    rumor_of,
    standing,
    standing_in,
)
from bot.commands.carry_out import Commands
from bot.commands.facts import Reply
from bot.commands.grammar import parse
from bot.groups import Group
from bot.notice import notice
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip29 import GroupRole
from nips.own import order as orders
from nips.own.once import once_key
from nips.own.roles import Roles

log = structlog.get_logger()


class Hearing:
    """owner: in hex."""

    def __init__(self, author: Author, roles: Roles, owner: str, commands: Commands) -> None:
        self._author, self._roles, self._owner = author, roles, owner
        self._commands = commands

    async def takes(self, event: Event, group: Group | None) -> bool:
        """Carry out and answer a message that is a command, and say so: it is never work.

        group: the one that it names, None where it is not known.
        """
        if not is_said_by_a_person(event, group, self._roles):
            return False
        command = parse(event.content)
        if event.tag("h") == self._roles.main:
            if command is None:
                return False
            await self._in_main(event, group, command)
            return True
        if group is not None and _is_of_tasks(command):
            return await self._of_tasks(event, group, command)
        if command != asked.Stop() or group is None or not may_stop(event, group):
            return False
        if not await self._is_answered(event.id):
            await self._reply(event, group.id, event.id, await self._commands.stop(group.id))
        return True

    async def _of_tasks(self, event: Event, group: Group, command: Command | Bad) -> bool:
        """What a group's admin says there about its tasks; of others it is work for its agent."""
        judged = standing_in(event, group, self._owner, self._author.now_s())
        if judged.whose is Authority.NOBODY:
            return False
        if not await self._is_answered(judged.once):
            reply = await self._commands.carry_out(
                command, judged.whose, judged.once, judged.why, group.id
            )
            await self._reply(event, group.id, judged.once, reply)
        return True

    async def _in_main(self, event: Event, group: Group | None, command: Command | Bad) -> None:
        order = None
        if not isinstance(command, Bad) and is_order(command) and (rumor := rumor_of(event)):
            order = await self._order(rumor)
        judged = standing(event, group, self._roles, self._owner, order, self._author.now_s())
        if judged.whose is Authority.NOBODY and not _is_admin(event, group):
            # A member's: it is not answered, or answers could be had in any number.
            log.info("command left alone", message=event.id[:12])
            return
        if await self._is_answered(judged.once):
            log.info("command was answered", message=event.id[:12])
            return
        reply = await self._commands.carry_out(command, judged.whose, judged.once, judged.why)
        await self._reply(event, self._roles.main, judged.once, reply)

    async def _order(self, rumor: str) -> Event | None:
        wanted = Filter(
            authors=frozenset({self._roles.signer}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"d": frozenset({orders.D_PREFIX + rumor})},
        )
        found = await self._author.link.fetch([wanted])
        return found[0] if found else None

    async def _is_answered(self, once: str) -> bool:
        wanted = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.CHAT),
            tags={"o": frozenset({once_key("command", once)})},
        )
        return bool(await self._author.link.fetch([wanted]))

    async def _reply(self, event: Event, group: str, once: str, reply: Reply) -> None:
        now_s = self._author.now_s()
        reaction = Template(
            self._author.pubkey,
            now_s,
            Kind.REACTION,
            (
                ("h", group),
                ("e", event.id),
                ("p", event.pubkey),
                ("k", str(event.kind)),
                ("o", once_key("command-sign", once)),
            ),
            reply.sign,
        )
        about: list[Tag] = [("q", event.id), ("p", event.pubkey)]
        answer = notice(
            self._roles,
            ("command", once),
            reply.said,
            about,
            now_s=now_s,
            group=group,
            # Who writes with a client of this relay reads the answer there.
            here_only=event.pubkey == self._owner,
        )
        for template in (reaction, answer):
            ok = await self._author.publish(template)
            if not ok.accepted:
                log.error("answer refused", message=event.id[:12], reason=ok.message)


def _is_of_tasks(command: Command | Bad | None) -> TypeGuard[asked.OfTasks | Bad]:
    if isinstance(command, Bad):
        return command.about in ("task", "tasks")
    return isinstance(command, asked.OfTasks)


def _is_admin(event: Event, group: Group | None) -> bool:
    return group is not None and group.has(event.pubkey, GroupRole.ADMIN)
