"""Shell: the router's side of requests, put together: what can be asked, and what is asked on.

session        list_groups register_group set_group send_to_group send_file set_persona
               find_published ask_owner nostr_query propose_change
               schedule_task list_tasks update_task pause_task resume_task cancel_task run_task
bridge         stranger trouble; the mail's: heard
command line   command find_public
model proxy    spent
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.author import Author
from bot.directory import Directory
from bot.jobs import Job
from bot.persona import Personas
from bot.publications import Publications
from bot.questions import Questions
from bot.registry import Registry
from bot.requests.asking import in_words, name_of
from bot.requests.callers import Bridge, Console, ModelProxy, Session, who_calls
from bot.requests.change_requests import ChangeRequests
from bot.requests.file_requests import FileRequests
from bot.requests.group_requests import GroupRequests
from bot.requests.methods import Asked, Handler, Method, table
from bot.requests.owner_requests import OwnerRequests
from bot.requests.persona_requests import PersonaRequests
from bot.requests.publication_requests import PublicationRequests
from bot.requests.published_requests import PublishedRequests
from bot.requests.query_requests import QueryRequests
from bot.requests.reception import Reception
from bot.requests.task_requests import TaskRequests
from bot.requests.trouble_requests import TroubleRequests
from bot.requests.widening import Usual
from bot.tasks.desk import Desk
from nips.key import SecretKey
from nips.own.deed import Deed, Hear
from nips.own.question import Question
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, refused
from relay_local.client import Caller


async def _nobody_waits(_text: str) -> str:
    raise refused(Prefix.ERROR, "nobody waits for events")


@dataclass(frozen=True, slots=True)
class Others:
    """What other parts of the bot answer: a bridge tells of a stranger (network, id, name), the
    command line gives a command (text, once), the model proxy tells what was spent (JSON), the mail
    bridge of a public event (JSON). Each returns the result, and raises Refused or Malformed."""

    stranger: Callable[[str, str, str], Awaitable[str]]
    command: Callable[[str, str], Awaitable[str]]
    spent: Callable[[str], Awaitable[str]]
    heard: Callable[[str], Awaitable[str]] = _nobody_waits


class Requests:
    """`start`, then `serve`. `questions`: what waits for the owner, whose commands settle it.

    author: with `key`, the router's. sessions: the jobs that run now, by their session's key.
    data: the data folder. usual: what holds where a binding says nothing. owner: in hex. settle:
    as in `Hands`. desk: what is planned.
    """

    def __init__(
        self,
        author: Author,
        key: SecretKey,
        roles: Roles,
        sessions: Mapping[str, Job],
        data: Path,
        directory: Directory,
        registry: Registry,
        personas: Personas,
        usual: Usual,
        owner: str,
        settle: Callable[[], Awaitable[None]],
        desk: Desk,
    ) -> None:
        self._settle = settle
        self._link, self._key, self._roles = author.link, key, roles
        self._sessions, self._directory, self._usual = sessions, directory, usual
        self.questions = Questions(author, key, roles, self._do, self._wording)
        self._groups = GroupRequests(
            author,
            roles,
            registry,
            self.questions,
            usual,
            lambda: directory.now().owners(roles.main, owner),
        )
        self._files = FileRequests(author, data, directory.group)
        self._owner = OwnerRequests(author, roles, self.questions, directory.group)
        bridge = roles.mail_bridge
        asks_bridge = Caller(self._link, key, bridge) if bridge else None
        self._queries = QueryRequests(asks_bridge)
        publications = Publications(author, roles)
        self._publications = PublicationRequests(publications, roles, asks_bridge)
        self._changes = ChangeRequests(author, roles)
        self._troubles = TroubleRequests(author, roles, directory.group)
        self._published = PublishedRequests(author, roles)
        self._personas = PersonaRequests(author, roles, personas, self._name)
        self._tasks = TaskRequests(author, roles, registry, desk, self._name)

    async def start(self) -> None:
        """Finish what the owner approved before a stop. Raises Refused."""
        await self.questions.start()

    async def serve(self, others: Others) -> None:
        """Answer until cancelled. Raises Refused when the relay does not let us listen."""
        bridges = tuple(self._roles.bridges.values())
        waiting = bridges if self._roles.model is None else (*bridges, self._roles.model)
        reception = Reception(
            self._link,
            self._key,
            lambda key: who_calls(key, self._roles, self._sessions),
            self.methods(others),
            waiting,
        )
        await reception.serve()

    def methods(self, others: Others) -> Mapping[str, Method]:
        """Everything that can be asked."""

        async def stranger(asked: Asked) -> str:
            network, known_by, name = asked.take(2, 3, "a network, an id and a name")
            # Attack: the bridge of one network tells of people of another.
            assert isinstance(asked.caller, Bridge)
            if network != asked.caller.name:
                raise refused(Prefix.RESTRICTED, "a bridge tells of its own network only")
            return await others.stranger(network, known_by, name)

        async def command(asked: Asked) -> str:
            (text,) = asked.take(1, 1, "a command")
            return await others.command(text, f"console/{asked.id}")

        async def spent(asked: Asked) -> str:
            (text,) = asked.take(1, 1, "a JSON object")
            return await others.spent(text)

        async def heard(asked: Asked) -> str:
            (text,) = asked.take(1, 1, "an event")
            # Attack: the bridge of another network sets off tasks.
            if asked.caller.key != self._roles.mail_bridge:
                raise refused(Prefix.RESTRICTED, "the Nostr bridge alone hears public events")
            return await others.heard(text)

        finds, trouble = self._publications.find_public, self._troubles.trouble
        ours: tuple[Handler, ...] = (
            self._groups.list_groups,
            self._groups.register_group,
            self._groups.set_group,
            self._groups.send_to_group,
            self._files.send_file,
            self._published.find_published,
            self._owner.ask_owner,
            self._queries.nostr_query,
            self._changes.propose_change,
            self._personas.set_persona,
            *self._tasks.handlers,
        )
        return table(
            [
                *(Method(one.__name__, (Session,), self._settled(one)) for one in ours),
                Method(stranger.__name__, (Bridge,), in_form(stranger)),
                Method(trouble.__name__, (Bridge,), in_form(trouble)),
                Method(heard.__name__, (Bridge,), in_form(heard)),
                Method(command.__name__, (Console,), in_form(command)),
                Method(finds.__name__, (Console,), in_form(finds)),
                Method(spent.__name__, (ModelProxy,), in_form(spent)),
            ]
        )

    def _settled(self, handler: Handler) -> Handler:
        async def handle(asked: Asked) -> str:
            await self._settle()
            return await handler(asked)

        return in_form(handle)

    async def _do(self, deed: Deed, once: str) -> str:
        match deed:
            case Hear():
                return await self._owner.hear(deed, once)
            case _:
                return await self._groups.do(deed, once)

    def _wording(self, asked: Question) -> tuple[Sequence[str], str]:
        by_id, main = self._directory.now().by_id, self._roles.main
        lines: list[str] = []
        for deed in asked.deeds:
            try:
                lines += in_words(deed, by_id, main, self._usual)
            except Malformed as error:  # what it is to change has become another since
                lines.append(f"something that does not fit any more ({error})")
        return lines, name_of(by_id.get(asked.group), main)

    def _name(self, group: str) -> str:
        return name_of(self._directory.group(group), self._roles.main)


def in_form(handler: Handler) -> Handler:
    """A handler whose Malformed is the refusal that it means."""

    async def handle(asked: Asked) -> str:
        try:
            return await handler(asked)
        except Malformed as error:
            raise refused(Prefix.INVALID, str(error)) from error

    return handle
