"""Shell: the orders about conversations: that they are, who is in them, what they are like."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bot import address
from bot.author import of_kinds
from bot.commands import asked
from bot.commands.facts import Reply
from bot.commands.hands import Hands
from bot.groups import Group
from bot.registration import RegistryError
from bot.zones import machine_zone, zone_of
from nips.event import Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.binding import Binding, Quiet
from nips.own.once import once_key
from nips.refusal import Malformed

DELETION_D = "deletion/"
DELETION_KEPT_S = 86_400  # longer than a command may be read again


class GroupOrders:
    """The carrying out of the orders about groups."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def do(self, order: asked.Order, once: str) -> Reply:
        """Do it. Raises RegistryError, Refused and Malformed with a sentence for people."""
        match order:
            case asked.NewGroup() | asked.RenameGroup() | asked.DeleteGroup():
                return await self._exist(order, once)
            case asked.BindGroup():
                return await self._bind(order)
            case asked.Pause(None, on):
                return await self._pause_everything(on)
            case _:
                return await self._change(order)

    # That a group is

    async def _exist(
        self, order: asked.NewGroup | asked.RenameGroup | asked.DeleteGroup, once: str
    ) -> Reply:
        registry = self._hands.registry
        match order:
            case asked.NewGroup(name, trigger, people):
                made = await registry.register(name, people, trigger=trigger, once=once)
                said = f"Made {made.folder}. {self._wakes(made)}"
                return Reply(True, said, {"group": made.group, "folder": made.folder})
            case asked.RenameGroup(word, name):
                group = registry.find(word)
                await registry.rename(group.id, name)
                folder = folder_of(group)
                said = f"It is called {name} now."
                if folder.casefold() != name.casefold():
                    said += f" Its folder stays {folder}, and finds it too."
                return Reply(True, said, {"group": group.id, "name": name})
            case asked.DeleteGroup(word, wipe):
                return await self._delete(word, wipe, once)

    async def _delete(self, word: str, wipe: bool, once: str) -> Reply:
        """A command that was cut off after the group had gone finds no group of that name: which
        one it meant is written down first."""
        meant = await self._read_deletion(once)
        if meant is None:
            group = self._hands.registry.find(word)
            meant = {"group": group.id, "folder": folder_of(group)}
            await self._write_deletion(once, meant)
        await self._hands.registry.delete(meant["group"], wipe)
        files = "Its files are gone too." if wipe else f"Its files stay in {meant['folder']}."
        return Reply(True, f"Deleted {meant['folder']}. {files}", {**meant, "wiped": wipe})

    async def _write_deletion(self, once: str, meant: dict[str, str]) -> None:
        author = self._hands.author
        now_s = author.now_s()
        tags = (
            ("d", DELETION_D + once),
            ("o", once_key("deletion", once)),
            ("expiration", str(now_s + DELETION_KEPT_S)),
            ("alt", "A group is being deleted"),
        )
        content = json.dumps(meant, separators=(",", ":"))
        await author.require(Template(author.pubkey, now_s, Kind.APP_DATA, tags, content))

    async def _read_deletion(self, once: str) -> dict[str, str] | None:
        wanted = Filter(
            authors=frozenset({self._hands.author.pubkey}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"d": frozenset({DELETION_D + once})},
        )
        found = await self._hands.author.link.fetch([wanted])
        return json.loads(found[0].content) if found else None

    # What a group is like

    async def _bind(self, order: asked.BindGroup) -> Reply:
        registry = self._hands.registry
        group = registry.find(order.group)
        for person in order.people:
            await (registry.bind if order.on else registry.unbind)(group.id, person)
        names = ", ".join(address.short(person) for person in order.people)
        said = (
            f"{folder_of(group)} is bound to {names}." if order.on else f"{names}: bound no more."
        )
        return Reply(True, said, {"group": group.id, "people": list(order.people)})

    async def _change(self, order: asked.Order) -> Reply:
        registry = self._hands.registry
        match order:
            case asked.ChangeGroup(word, fields):
                group = registry.find(word)
                made = await registry.change(group.id, **fields)
                return done(group, self._change_in_words(made, set(fields)))
            case asked.QuietHours(word, start, end, zone):
                group = registry.find(word)
                quiet = self._quiet(group, start, end, zone)
                await registry.change(group.id, quiet=quiet)
                if quiet is None:
                    return done(group, "no quiet hours any more.")
                hours = f"quiet from {quiet.start} to {quiet.end} ({quiet.zone})."
                return done(group, f"{hours} Your own words count at any time.")
            case asked.Mute(word, people, on):
                return await self._mute(registry.find(word), people, on)
            case asked.ArchiveGroup(word, on):
                group = registry.find(word)
                await (registry.archive if on else registry.restore)(group.id)
                said = "archived: no messages are taken, all is kept." if on else "taken up again."
                return done(group, said)
            case asked.SetModels(word, models):
                return await self._models(registry.find(word), models)
            case asked.SetBackends(word, backends):
                return await self._backends(registry.find(word), backends)
            case asked.Pause(str(word), on):
                group = registry.find(word)
                await registry.change(group.id, paused=on)
                return done(group, _paused(on))
        raise AssertionError(order)

    async def _mute(self, group: Group, people: Sequence[str], on: bool) -> Reply:
        before = group.binding.muted if group.binding else ()
        kept = [key for key in before if key not in people]
        muted = (*kept, *people) if on else tuple(kept)
        await self._hands.registry.change(group.id, muted=muted)
        names = ", ".join(address.short(f"nostr:{key}") for key in people)
        return done(group, f"{names} {'never wakes' if on else 'may wake'} me there.")

    async def _models(self, group: Group, models: Sequence[str] | None) -> Reply:
        configured = self._hands.models
        if unknown := [name for name in models or () if name not in configured]:
            there = ", ".join(configured) or "none; nostrclaw model add"
            return Reply(False, f"Not configured: {', '.join(unknown)}. There are: {there}.")
        await self._hands.registry.change(
            group.id, models=None if models is None else tuple(models)
        )
        words = "models as configured." if models is None else (
            f"may use {', '.join(models) or 'no model'}."
        )  # fmt: skip
        return done(group, f"{words} From its next run on.")

    async def _backends(self, group: Group, backends: tuple[str, ...] | None) -> Reply:
        there = self._hands.backends
        if missing := there.missing(backends or ()):
            return Reply(
                False,
                f"Not configured: {', '.join(missing)}. There are: {', '.join(there.every())}.",
            )
        await self._hands.registry.change(group.id, backends=backends)
        now = ", then ".join(map(str, self._hands.backends_of(group.id)))
        how = "as configured, which is" if backends is None else "works with"
        return done(group, f"{how} {now}. From its next run on.")

    def _quiet(
        self, group: Group, start: str | None, end: str | None, zone: str | None
    ) -> Quiet | None:
        if start is None or end is None:
            return None
        before = group.binding.quiet if group.binding else None
        zone = zone or (before.zone if before else machine_zone())
        try:
            # A zone that nobody knows would be found out in the night.
            zone_of(zone)
        except Malformed:
            raise RegistryError(
                f"There is no time zone {zone[:40]}. Write it as Europe/Berlin or UTC."
            ) from None
        return Quiet(start, end, zone)

    async def _pause_everything(self, on: bool) -> Reply:
        changed = []
        for group in self._hands.registry.all():
            if group.binding and group.binding.paused is not on and not group.binding.archived:
                await self._hands.registry.change(group.id, paused=on)
                changed.append(folder_of(group))
        if on:
            said = "Paused everywhere. What is under way ends by itself; /stop all ends it now."
        else:
            said = "At work again everywhere."
        return Reply(True, said, {"groups": changed, "paused": on})

    # In words

    def _wakes(self, binding: Binding) -> str:
        match binding.trigger:
            case None:
                return "Every message there wakes me."
            case "":
                name = self._hands.personas.trigger(binding.group)
                return f"{name or 'My name'} wakes me there."
            case word:
                return f"“{word}” wakes me there."

    def _change_in_words(self, made: Binding, changed: set[str]) -> str:
        said = []
        if "trigger" in changed:
            said.append(self._wakes(made))
        if "senders" in changed:
            every = made.senders == "members"
            said.append("Every member may wake me." if every else "Only whom I trust may wake me.")
        if "agents" in changed:
            may = "may" if made.agents else "may not"
            said.append(f"Other agents {may} wake me.")
        if "owner_speaks" in changed:
            said.append(_owner_speaks(made))
        return " ".join(said)


def done(group: Group, said: str) -> Reply:
    """The answer about one group."""
    return Reply(
        True, f"{folder_of(group)}: {said}", {"group": group.id, "folder": folder_of(group)}
    )


def _owner_speaks(made: Binding) -> str:
    if not made.owner_speaks:
        return "What you write there stays here."
    said = "What you write there goes out to its people on Signal, from my account."
    if any(each.startswith("signal:") for each in made.counterparts):
        return said
    return f"{said} It has none yet."


def _paused(on: bool) -> str:
    return "paused; what is said there is kept." if on else "at work again."


def folder_of(group: Group) -> str:
    """The word by which a group is always found."""
    return group.binding.folder if group.binding else group.id[:8]
