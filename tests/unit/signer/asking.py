"""A desk whose sessions ask, and an owner who answers in each of the three ways."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from nips import nip46, nip59
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.nip17 import message_template
from nips.own import approval as forms
from nips.own.grant import Rule
from signer.work import Arrived, Asked, Publication, Reply, Settled, Work
from tests.unit.signer.desks import Scene
from tests.unit.signer.house import JOB, templates_json, text

ASKED_KINDS = (0, 3, 5, 10_002, 10_050, 30_023)
PROFILE = '{"name":"Mallory"}'


def code_in(text: str) -> str:
    """The code that a question's text tells its owner to write."""
    return text.splitlines()[-1].removeprefix("deny ")


@dataclass(frozen=True)
class Shown:
    """A question as it left the signer."""

    run: str
    started: Event
    gate: Event
    words: Event

    @property
    def code(self) -> str:
        """What an answer in words names."""
        return code_in(self.words.content)


class Asking(Scene):
    """A scene in which a session of main may have its owner asked."""

    def begin(self) -> None:
        rules = [Rule(kind, mode="ask", forbidden=("h",)) for kind in ASKED_KINDS]
        now = int(self.wall_s)
        grant = self.house.session_grant(Rule(1), Rule(9), *rules, now=now)
        self.grant(replace(grant, hard_expires_at=now + 10**6))
        self.grant(self.house.bridge_grant(now=now, hard_expires_at=now + 10**6))

    def does(self, *works: Work) -> tuple[list[Reply], tuple[Event, ...]]:
        """Have a batch done: the replies, and what is to be published besides."""
        replies: list[Reply] = []
        published: list[Event] = []
        for outcome in self.desk.take(works):
            match outcome:
                case Reply():
                    replies.append(outcome)
                case Publication(events):
                    published += events
        return replies, tuple(published)

    def profile(self, *tags: Tag, content: str = PROFILE) -> Template:
        return self.house.template(0, ("job", JOB), *tags, content=content, at=int(self.wall_s))

    def put(
        self, template: Template, request_id: str = "", by: SecretKey | None = None
    ) -> tuple[nip46.Response, tuple[Event, ...]]:
        """Ask for a signature."""
        _, event = self.house.request(
            by or self.house.session, "sign_event", templates_json(template), request_id=request_id
        )
        [reply], published = self.does(Asked(event))
        return reply.response, published

    def question(self, template: Template | None = None) -> Shown:
        """Have the owner asked about a template, and show the question to them."""
        template = template or self.profile()
        response, (started, gate, words) = self.put(template)
        assert str(response.error).startswith(f"pending: {template.id} ")
        return Shown(template.id, started, gate, words)

    def show(self, words: Event) -> Template:
        """The bridge has the question sealed for the owner, as its outbox does."""
        rumor = message_template(
            self.house.bot.public, [self.house.owner.public], words.content, words.created_at
        )
        assert self.seal(rumor).error is None
        return rumor

    def seal(self, rumor: Template, to: str = "") -> nip46.Response:
        return self.ask(
            self.house.bridge, "seal", to or self.house.owner.public, text(rumor)
        )  # fmt: skip

    # The owner

    def event(self, run: str, *, yes: bool = True, by: SecretKey | None = None) -> Event:
        author = by or self.house.owner
        template = forms.answer(author.public, run, int(self.wall_s), yes=yes)
        return template.sign(author, bytes(32))

    def answers(self, run: str, *, yes: bool = True, by: SecretKey | None = None) -> list[Event]:
        """A 46030 or 46031 comes from the relay."""
        _, published = self.does(Arrived(self.event(run, yes=yes, by=by), 9))
        return list(published)

    def rumor(self, content: str, named: str = "", *, at: int | None = None) -> Template:
        """Words of the owner, or a reaction of theirs where they are a sign."""
        tags: list[Tag] = [("p", self.house.bot.public)]
        tags += [("e", named)] if named else []
        kind = 7 if content in ("✅", "❌", "+", "-") else 14
        now = int(self.wall_s) if at is None else at
        return Template(self.house.owner.public, now, kind, tuple(tags), content)

    def wrap(self, rumor: Template, by: SecretKey | None = None) -> Event:
        author = by or self.house.owner
        seal = nip59.seal(
            replace(rumor, pubkey=author.public),
            author, self.house.bot.public, rumor.created_at, secrets.token_bytes(32), bytes(32),
        )  # fmt: skip
        return self.house.wrapped(seal)

    def opens(self, wrap: Event, request_id: str = "") -> tuple[nip46.Response, list[Event]]:
        """The bridge has a wrap opened."""
        _, event = self.house.request(
            self.house.bridge, "unwrap", text(wrap), request_id=request_id
        )
        [reply], published = self.does(Asked(event))
        return reply.response, list(published)

    def hears(self, rumor: Template, by: SecretKey | None = None) -> list[Event]:
        """A wrap comes, and is opened; what is published because of it."""
        response, published = self.opens(self.wrap(rumor, by))
        opened = orjson.loads(response.result or "{}")
        self.was_answer = opened.get("approval", False)
        return published

    # What came of it

    def kept(self, kind: int) -> list[Event]:
        """Every event of a kind that was ever signed here."""
        with sqlite3.connect(self.folder / "ledger.sqlite") as db:
            events = [orjson.loads(row[0]) for row in db.execute("SELECT event FROM signed")]
        return [Event.from_json(event) for event in events if event["kind"] == kind]

    def told(self, events: Sequence[Event]) -> list[Event]:
        """The relay takes events; what is published because of that."""
        _, published = self.does(*(Settled(event.id) for event in events))
        return list(published)
