"""Shell: the conversations of the house: registered, renamed, bound, archived, deleted.

    register ─► 9007 ─► 9000 ─► binding          delete ─► binding, empty and archived ─► 9008

What is registered is what the relay holds, so nothing is remembered here. Killed between two
events, a registration is begun again under its once, or cleared away by `Adoption.tidy`; a
deletion is finished by `Adoption.start`. The folder outlives its group and is nobody else's,
unless it was wiped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from secrets import token_bytes
from typing import Any

from bot import registration
from bot.author import Author, of_kinds
from bot.group_folders import Kept, folders_in, wipe_folders
from bot.groups import Group, Groups
from bot.records import Record, Records
from bot.registration import RegistryError, Unclear
from nips import nip29
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.binding import Binding, mark
from nips.own.roles import Roles

__all__ = ["Registry", "RegistryError", "Unclear"]

FIXED_IN_MAIN = frozenset({"counterparts", "room", "archived"})


class Registry:
    """author: the router's pen. owner: in hex. groups: the groups as of now. learn: takes an
    event of ours into them at once. stop: ends the work of a group (its id) and returns when
    its container is gone. kept: where the folders are.
    """

    def __init__(
        self,
        author: Author,
        roles: Roles,
        owner: str,
        groups: Callable[[], Groups],
        learn: Callable[[Event], None],
        stop: Callable[[str], Awaitable[object]],
        kept: Kept,
    ) -> None:
        self._author, self._roles, self._owner = author, roles, owner
        self._groups, self._stop, self._kept = groups, stop, kept
        self._records = Records(author, learn)
        self._lock = asyncio.Lock()
        self._ever: dict[str, str] = {}

    # Looking

    def all(self) -> tuple[Group, ...]:
        """Every registered group, archived ones too: main first, then by folder."""
        found = [group for group in self._groups().by_id.values() if group.binding]
        main = self._roles.main
        return tuple(sorted(found, key=lambda g: (g.id != main, registration.shown(g))))

    def find(self, word: str) -> Group:
        """The group that a person means by a name, a folder or an id's beginning.

        Raises Unclear with what is near.
        """
        return registration.chosen(word, self.all())

    # Changing

    async def register(
        self,
        name: str,
        counterparts: Sequence[str] = (),
        *,
        folder: str | None = None,
        trigger: str | None = "",
        room: bool = False,
        once: str | None = None,
    ) -> Binding:
        """Make a group of the owner and the assistant, bound to people elsewhere or to nobody.

        once: what asks for it, such as a message's id; asked again by the same, it is the same
        group, finished where it was cut off. Raises RegistryError.
        """
        name = registration.clean_name(name)
        async with self._lock:
            group = registration.group_id(once, token_bytes(16))
            if (known := self._groups().by_id.get(group)) and known.binding:
                return known.binding
            records = await self._every()
            people = tuple(dict.fromkeys(counterparts))
            self._check(people, room, records, group)
            taken = await self._taken(records)
            if folder is None:
                folder = registration.folder_name(name, taken)
            else:
                registration.check_folder(folder, taken)
            if known is None:
                self._ever[group] = self._author.pubkey
                now_s = self._author.now_s()
                await self._records.say(registration.opening(group, name, self._roles, now_s))
            await self._join(group)
            return await self._records.write(Binding(group, folder, people, trigger, room), None)

    async def adopt(self, group: str) -> Binding:
        """Register a group that the owner's own client has made: the assistant joins it, and
        its folder is called like it. Raises RegistryError."""
        async with self._lock:
            found = self._groups().by_id.get(group)
            if found is None:
                raise RegistryError("There is no such group.")
            if found.binding is not None:
                return found.binding
            records = await self._every()
            taken = await self._taken(records)
            await self._join(group)
            folder = registration.folder_name(found.name, taken)
            old = records.get(group)
            return await self._records.write(
                Binding(group, folder, (), ""), old.event if old else None
            )

    async def rename(self, group: str, name: str) -> None:
        """Call a group otherwise; its folder stays. Raises RegistryError."""
        name = registration.clean_name(name)
        self._not_main(group, "renamed")
        wanted = Filter(
            authors=frozenset({self._roles.relay}),
            kinds=of_kinds(Kind.GROUP_METADATA),
            tags={"d": frozenset({group})},
        )
        states = await self._author.link.fetch([wanted])
        state, now_s = states[0] if states else None, self._author.now_s()
        await self._records.say(registration.renaming(group, name, state, self._roles, now_s))

    async def bind(self, group: str, counterpart: str) -> Binding:
        """Let somebody of another network belong to a group. Raises RegistryError."""
        self._not_main(group, "bound to anybody else")

        def bound(binding: Binding) -> Binding:
            people = dict.fromkeys((*binding.counterparts, counterpart))
            return replace(binding, counterparts=tuple(people))

        return await self._change(group, bound)

    async def unbind(self, group: str, counterpart: str) -> Binding:
        """Let somebody belong to a group no more: ignored at once. Raises RegistryError."""
        self._not_main(group, "unbound")

        def unbound(binding: Binding) -> Binding:
            rest = tuple(each for each in binding.counterparts if each != counterpart)
            return replace(binding, counterparts=rest)

        return await self._change(group, unbound)

    async def change(self, group: str, **fields: Any) -> Binding:
        """Change fields of a group's binding. Raises RegistryError."""
        if group == self._roles.main and not FIXED_IN_MAIN.isdisjoint(fields):
            raise RegistryError("Main is yours and the terminal's; that of it does not change.")
        if "folder" in fields:
            raise RegistryError("A group keeps its folder. Register another group instead.")
        return await self._change(group, lambda binding: replace(binding, **fields))

    async def archive(self, group: str) -> Binding:
        """Take no more messages of a group and keep all it has. Raises RegistryError."""
        self._not_main(group, "archived")
        changed = await self._change(group, lambda binding: replace(binding, archived=True))
        await self._stop(group)
        return changed

    async def restore(self, group: str) -> Binding:
        """Take an archived group's messages again. Raises RegistryError."""
        return await self._change(group, lambda binding: replace(binding, archived=False))

    async def delete(self, group: str, wipe: bool = False) -> None:
        """End a group: nobody is bound, its work is stopped, its folder kept or wiped.

        Raises RegistryError, where wiping was not possible with what is left to do.
        """
        self._not_main(group, "deleted")
        binding = await self._change(group, emptied)
        await self._stop(group)
        if wipe:
            await asyncio.to_thread(wipe_folders, self._kept.data, binding.folder)
        if group in self._groups().by_id:
            now_s = self._author.now_s()
            await self._records.say(nip29.delete_group(self._author.pubkey, group, now_s))

    # What `Adoption` needs

    def created(self, group: str, by: str) -> None:
        """Know of a group that there was, and who made it (hex): a folder outlives its group."""
        self._ever.setdefault(group, by)

    def maker(self, group: str) -> str | None:
        """Who made a group (hex)."""
        return self._ever.get(group)

    async def bury(self, *groups: str) -> None:
        """Bind groups that are gone to nobody, and stop their work."""
        for group, record in (await self._records.of(groups)).items():
            if record.binding != emptied(record.binding):
                await self._change(group, emptied)
            await self._stop(group)

    async def put_out(self, group: str, marks: Collection[str]) -> None:
        """Unbind whom the owner's client has put out of a group, as their puppets' marks say.
        In main it is said anew that they are bound: it is the owner's own way in."""
        async with self._lock:
            record = (await self._records.of([group])).get(group)
            people = record.binding.counterparts if record else ()
            gone = [each for each in people if mark(group, each) in marks]
            if record and gone and group == self._roles.main:
                # Under the lock: a conflict with another change here would end the router.
                await self._records.write(record.binding, record.event)
                return
        for each in gone:
            await self.unbind(group, each)

    async def clear(self, group: str) -> None:
        """Delete a group of which a registration that was cut off is all there is."""
        async with self._lock:  # one that is under way ends first
            found = self._groups().by_id.get(group)
            if found is not None and found.binding is None:
                now_s = self._author.now_s()
                await self._records.say(nip29.delete_group(self._author.pubkey, group, now_s))

    # Steps

    def _not_main(self, group: str, done: str) -> None:
        if group == self._roles.main:
            raise RegistryError(f"Main is your conversation with me and is not {done}.")

    async def _every(self) -> Mapping[str, Record]:
        return await self._records.of({*self._ever, *self._groups().by_id})

    def _check(
        self, people: Sequence[str], room: bool, records: Mapping[str, Record], group: str
    ) -> None:
        among = [record.binding for record in records.values()]
        why = registration.why_not_bound(people, room, among, group, self._roles, self._owner)
        if why:
            raise RegistryError(why)

    async def _change(self, group: str, change: Callable[[Binding], Binding]) -> Binding:
        async with self._lock:
            records = await self._every()

            def checked(binding: Binding) -> Binding:
                wanted = change(binding)
                if not wanted.archived:
                    self._check(wanted.counterparts, wanted.room, records, group)
                return wanted

            return await self._records.change(group, checked)

    async def _taken(self, records: Mapping[str, Record]) -> frozenset[str]:
        """Every folder that is a group's, and whatever lies where they are."""
        live = self._groups().by_id
        bound = {each.binding.folder for each in records.values() if each.binding.group in live}
        return await asyncio.to_thread(folders_in, self._kept.data) | bound

    async def _join(self, group: str) -> None:
        known, now_s = self._groups().by_id.get(group), self._author.now_s()
        joining = registration.joining(known, group, self._roles, self._owner, now_s)
        if joining is not None:
            await self._records.say(joining)


def emptied(binding: Binding) -> Binding:
    """The binding of a group that is gone: of nobody, its folder known."""
    return replace(binding, counterparts=(), room=False, archived=True)
