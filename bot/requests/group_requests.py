"""Shell: what agents ask about groups: `list_groups`, `register_group`, `set_group`,
`send_to_group`.

Each is judged by the session's own group as the router knows it. Main's agent may ask about every
group, another one about its own alone, and learns of no other. What widens is the owner's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from bot.author import Author
from bot.groups import Group
from bot.notice import notice
from bot.questions import Questions
from bot.registration import RegistryError, clean_name, counterpart_of
from bot.registry import Registry
from bot.requests.asking import name_of
from bot.requests.callers import Session
from bot.requests.methods import Asked
from bot.requests.widening import Usual, asks, steps
from nips.event import Tag, Template
from nips.kinds import Kind
from nips.own import deed as deeds
from nips.own.binding import Binding, checked
from nips.own.deed import Bind, Change, Deed, Register, Rename, RuleDeed, Unbind
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refused, refused

MAX_TEXT_BYTES = 60_000  # as of an agent's own message
MAX_PEOPLE = 20  # in one request
EVERY_MESSAGE = "none"  # the word for a group that needs no trigger


class GroupRequests:
    """registry: of the groups. usual: what holds where a binding says nothing. owners: the keys
    (hex) by which the owner speaks."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        registry: Registry,
        questions: Questions,
        usual: Usual,
        owners: Callable[[], frozenset[str]],
    ) -> None:
        self._author, self._roles, self._owners = author, roles, owners
        self._registry, self._questions, self._usual = registry, questions, usual

    async def list_groups(self, asked: Asked) -> str:
        """`[]`: every conversation, a line each. Main's."""
        self._in_main(asked)
        asked.take(0, 0, "nothing")
        return "\n".join(self._line(group) for group in self._registry.all())

    async def register_group(self, asked: Asked) -> str:
        """`[name, people, trigger]`: a new conversation. people: words that name them, apart by
        spaces; with any, the owner is asked. trigger: as of `trigger_of`. Main's."""
        self._in_main(asked)
        name, people, trigger = asked.take(1, 3, "a name, people and a trigger")
        try:
            name = clean_name(name)
            found = tuple(dict.fromkeys(counterpart_of(word) for word in people.split()))
            deed = Register(name, found, trigger_of(trigger))
            checked(Binding(self._roles.main, "checked", found[:1], deed.trigger))
        except (Malformed, RegistryError) as error:
            raise _invalid(error) from error
        if len(found) > MAX_PEOPLE:
            raise refused(Prefix.INVALID, f"at most {MAX_PEOPLE} people at once")
        if found:
            raise await self._ask(asked.session, asked.id, [deed])
        return await self.do(deed, asked.once("register"))

    async def set_group(self, asked: Asked) -> str:
        """`[group, changes]`: change the rules of a conversation. group: what names it, empty
        for the session's own. changes: a JSON object of a binding's fields (`nips.own.deed`),
        and of `name`, `add` and `remove` (people)."""
        word, text = asked.take(2, 2, "a group, or nothing, and a JSON object")
        group = self._meant(asked.session, word)
        at_once, asking = self._sorted(group, _object(text))
        done = []
        if at_once:
            change = Change(group.id, at_once)
            done = [step.words for step in self._steps(group, change)]
            if done and not asked.session.is_main:
                # Told first: what a kill comes between is told, and done when it is asked again.
                await self._tell(asked, f"In {self._name(group.id)} its agent changed: ", done)
            await self._change(change)
        if asking:
            raise await self._ask(asked.session, asked.id, asking, done)
        return f"Done: {'; '.join(done)}." if done else "It is like that already."

    async def send_to_group(self, asked: Asked) -> str:
        """`[group, text]`: say something in another conversation, as a notice. Main's."""
        self._in_main(asked)
        word, text = asked.take(2, 2, "a group and a text")
        group = self._found(word)
        binding = group.binding
        if group.id == self._roles.main:
            raise refused(Prefix.INVALID, "that is this conversation; say it here")
        if binding is None or binding.archived:
            raise refused(Prefix.INVALID, "that conversation is archived")
        if not text.strip() or len(text.encode(errors="replace")) > MAX_TEXT_BYTES:
            raise refused(Prefix.INVALID, f"a text has 1 to {MAX_TEXT_BYTES} bytes")
        tags: tuple[Tag, ...] = (
            ("h", group.id),
            ("o", asked.once("message")),
            ("job", asked.session.job.id),
            # Attack: words that main's agent was talked into wake another group's agent.
            ("L", "agent"),
            ("l", "notice", "agent"),
        )
        await self._author.require(
            Template(self._author.pubkey, self._author.now_s(), Kind.CHAT, tags, text)
        )
        return f"Said in {self._name(group.id)}."

    async def do(self, deed: RuleDeed, once: str) -> str:
        """Do what needs nobody's leave any more; says in words what was done. Raises Refused."""
        try:
            match deed:
                case Register(name, people, trigger):
                    binding = await self._registry.register(
                        name, people, trigger=trigger, once=once
                    )
                    return f"{name} is a conversation now; its folder is {binding.folder}."
                case Rename(group, name):
                    await self._registry.rename(group, name)
                    return f"It is called {name} now."
                case Bind(group, person):
                    await self._registry.bind(group, person)
                    return f"{self._name(group)} has one more person."
                case Unbind(group, person):
                    await self._registry.unbind(group, person)
                    return f"{self._name(group)} has one person less."
                case Change(group):
                    found = self._group(group)
                    said = [step.words for step in self._steps(found, deed)]
                    await self._change(deed)
                    return f"In {self._name(group)}: {'; '.join(said) or 'it is so already'}."
        except (Malformed, RegistryError) as error:
            raise _invalid(error) from error

    # Judging

    def _in_main(self, asked: Asked) -> None:
        # Attack: another group's agent looks for groups, makes one, or speaks in one.
        if not asked.session.is_main:
            raise refused(
                Prefix.RESTRICTED, "this can be asked for in the owner's own conversation only"
            )

    def _meant(self, session: Session, word: str) -> Group:
        if not word or word == session.group:
            return self._group(session.group)
        if not session.is_main:
            # The same words for a group that is there and one that is not.
            raise refused(Prefix.RESTRICTED, "an agent changes its own conversation only")
        return self._found(word)

    def _found(self, word: str) -> Group:
        try:
            return self._registry.find(word)
        except RegistryError as error:
            raise _invalid(error) from error

    def _group(self, group_id: str) -> Group:
        for group in self._registry.all():
            if group.id == group_id:
                return group
        raise refused(Prefix.INVALID, "that conversation is gone")

    def _sorted(
        self, group: Group, changes: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[Deed]]:
        """What takes effect at once, and what the owner is asked for."""
        fields = {name: value for name, value in changes.items() if name in deeds.FIELDS}
        at_once: dict[str, Any] = {}
        asking: dict[str, Any] = {}
        try:
            for name, value in fields.items():
                change = deeds.change(group.id, {name: value})
                found = self._steps(group, change)
                if name == "quiet" and (quiet := change.of(self._binding(group.id)).quiet):
                    ZoneInfo(quiet.zone)
                (asking if asks(found) else at_once)[name] = value
            # Attack: the owner's words wake nobody any more, by whichever of their keys.
            if not self._owners().isdisjoint(fields.get("muted") or ()):
                raise refused(Prefix.RESTRICTED, "no agent mutes the owner")
            more: list[Deed] = [deeds.change(group.id, asking)] if asking else []
            return at_once, more + self._of_people_and_name(group, changes)
        except (Malformed, RegistryError) as error:
            raise _invalid(error) from error
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise refused(Prefix.INVALID, "this machine knows no such time zone") from error

    def _of_people_and_name(self, group: Group, changes: Mapping[str, Any]) -> list[Deed]:
        known = deeds.FIELDS | {"name", "add", "remove"}
        if unknown := sorted(set(changes) - known):
            named = ", ".join(sorted(known))
            raise Malformed(f"there is no {unknown[0][:40]!r}; what changes is one of {named}")
        found: list[Deed] = []
        if "name" in changes:
            # Attack: a conversation called like another one gets what the owner meant for that.
            found.append(Rename(group.id, clean_name(str(changes["name"]))))
        for name, deed in (("add", Bind), ("remove", Unbind)):
            people = changes.get(name, [])
            if not isinstance(people, list) or len(people) > MAX_PEOPLE:
                raise Malformed(f"{name} is an array of at most {MAX_PEOPLE} people")
            found += [deed(group.id, counterpart_of(str(person))) for person in people]
        if found and group.id == self._roles.main:
            raise Malformed("main keeps its name and its people")
        return found

    def _steps(self, group: Group, change: Change) -> tuple[Any, ...]:
        assert group.binding is not None
        return steps(group.binding, change.of(group.binding), self._usual)

    # Doing

    async def _change(self, change: Change) -> None:
        wanted = change.of(self._binding(change.group))
        await self._registry.change(
            change.group, **{name: getattr(wanted, name) for name in change.fields}
        )

    def _binding(self, group_id: str) -> Binding:
        binding = self._group(group_id).binding
        assert binding is not None
        return binding

    async def _ask(
        self, session: Session, request: str, asking: list[Deed], done: list[str] | None = None
    ) -> Refused:
        await self._questions.ask(session.group, session.job.id, request, asking)
        before = f"done: {'; '.join(done)}. For the rest " if done else ""
        return refused(
            Prefix.PENDING,
            f"{before}the owner was asked, and has an hour to say yes; they are told how it ends",
        )

    async def _tell(self, asked: Asked, words: str, said: list[str]) -> None:
        text = f"ℹ️ {words}{'; '.join(said)}."
        about = notice(self._roles, asked.told(text), text, now_s=self._author.now_s())
        await self._author.publish(about)

    def _name(self, group_id: str) -> str:
        groups = {group.id: group for group in self._registry.all()}
        return name_of(groups.get(group_id), self._roles.main)

    def _line(self, group: Group) -> str:
        binding = group.binding
        assert binding is not None
        said = [f"folder {binding.folder}"]
        if binding.counterparts and group.id != self._roles.main:
            said.append(f"{len(binding.counterparts)} people elsewhere")
        if binding.trigger is not None:
            said.append(f"woken by {binding.trigger or 'its name'}")
        said += ["paused"] if binding.paused else []
        said += ["archived"] if binding.archived else []
        return f"{self._name(group.id)} ({group.id[:8]}): {', '.join(said)}"


def trigger_of(word: str) -> str | None:
    """A trigger as people say it: nothing is the assistant's name, `none` is every message."""
    return None if word.strip().lower() == EVERY_MESSAGE else word.strip()


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise refused(Prefix.INVALID, "the changes must be a JSON object") from error
    if not isinstance(value, dict) or not value:
        raise refused(Prefix.INVALID, "the changes must be a JSON object that names something")
    return value


def _invalid(error: Malformed | RegistryError) -> Refused:
    return refused(Prefix.INVALID, str(error).rstrip("."))
