"""One installation with fixed keys: grants, templates and requests for the tests here."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from nips import nip44, nip46, nip59
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.own import grant as own_grant
from nips.own.grant import Grant, Rate, Rule
from nips.own.roles import Roles
from signer.ceiling import Ceiling

MAIN = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
OTHER = "11111111-2222-4333-8444-555555555555"
JOB = "ab" * 32
NOW = 1_800_000_000


def key(number: int) -> SecretKey:
    return SecretKey(number.to_bytes(32, "big"))


@dataclass(frozen=True)
class House:
    """Who is who. `session` is a container's key, `login` a bunker client's, `stranger`
    nobody's."""

    relay: SecretKey = field(default_factory=lambda: key(1))
    signer: SecretKey = field(default_factory=lambda: key(2))
    router: SecretKey = field(default_factory=lambda: key(3))
    bot: SecretKey = field(default_factory=lambda: key(4))
    owner: SecretKey = field(default_factory=lambda: key(5))
    bridge: SecretKey = field(default_factory=lambda: key(6))
    signal: SecretKey = field(default_factory=lambda: key(16))  # a bridge that carries no mail
    session: SecretKey = field(default_factory=lambda: key(7))
    stranger: SecretKey = field(default_factory=lambda: key(8))
    login: SecretKey = field(default_factory=lambda: key(9))
    named: bool = True
    ceiling: Ceiling = field(
        default_factory=lambda: Ceiling(
            groups={MAIN: frozenset({1})},
            relays=("wss://a.example", "wss://b.example"),
            profile={"name": "Bot", "about": "An assistant", "bot": True},
        )
    )

    @property
    def roles(self) -> Roles:
        return Roles(
            relay=self.relay.public,
            signer=self.signer.public,
            router=self.router.public,
            bot=self.bot.public,
            main=MAIN,
            owner=self.owner.public if self.named else None,
            bridges={"nostr": self.bridge.public, "signal": self.signal.public},
        )

    # Grants

    def session_grant(self, *rules: Rule, now: int = NOW, **changes: Any) -> Grant:
        usual = Grant(
            client=self.session.public,
            role="session",
            methods=("sign_event",),
            rules=rules or (Rule(9, required=(("h", MAIN), ("job", JOB))),),
            not_before=now,
            expires_at=now + 180,
            hard_expires_at=now + 600,
            max_uses=200,
            group=MAIN,
            job=JOB,
        )
        return replace(usual, **changes)

    def bridge_grant(self, now: int = NOW, **changes: Any) -> Grant:
        usual = Grant(
            client=self.bridge.public,
            role="bridge",
            methods=("unwrap", "seal", "sign_event"),
            rules=tuple(Rule(kind) for kind in (0, 10_002, 10_050, 22_242)),
            not_before=now,
            expires_at=now + 3_600,
            hard_expires_at=now + 86_400,
            max_uses=10_000,
        )
        return replace(usual, **changes)

    def login_grant(self, *rules: Rule, now: int = NOW, **changes: Any) -> Grant:
        usual = Grant(
            client=self.login.public,
            role="bunker",
            methods=("sign_event",),
            rules=rules or (Rule(1),),
            not_before=now,
            expires_at=now + 28_800,
            hard_expires_at=now + 28_800,
            max_uses=1_000,
            rate=Rate(10, 10 / 3_600),
        )
        return replace(usual, **changes)

    def granted(self, grant: Grant, at: int = NOW, by: SecretKey | None = None) -> Event:
        router = by or self.router
        return own_grant.template(grant, router.public, at).sign(router, bytes(32))

    # What clients send

    def template(self, kind: int = 9, *tags: Tag, content: str = "hi", at: int = NOW) -> Template:
        usual = () if tags or kind != 9 else (("h", MAIN), ("job", JOB))
        return Template(self.bot.public, at, kind, (*usual, *tags), content)

    def request(
        self, client: SecretKey, method: str, *params: str, request_id: str = ""
    ) -> tuple[nip46.Request, Event]:
        request = nip46.Request(request_id or secrets.token_hex(8), method, params)
        payload = nip44.encrypt(
            request.to_json(),
            nip44.conversation_key(client, self.signer.public),
            secrets.token_bytes(32),
            extended=True,
        )
        return request, nip46.envelope(client.public, self.signer.public, payload, NOW).sign(
            client, bytes(32)
        )

    def gift(
        self, text: str, author: SecretKey | None = None, kind: int = 14, at: int = NOW
    ) -> Event:
        """A message to the bot, sealed and wrapped."""
        author = author or self.owner
        rumor = Template(author.public, at, kind, (("p", self.bot.public),), text)
        seal = nip59.seal(rumor, author, self.bot.public, at, secrets.token_bytes(32), bytes(32))
        return self.wrapped(seal)

    def wrapped(self, seal: Event) -> Event:
        ephemeral = SecretKey.generate(secrets.token_bytes)
        return nip59.wrap(seal, ephemeral, self.bot.public, NOW, secrets.token_bytes(32), bytes(32))


def text(value: Event | Template) -> str:
    return orjson.dumps(value.to_json()).decode()


def templates_json(template: Template) -> str:
    """A template as a NIP-46 client sends it: without pubkey and id."""
    value = template.to_json()
    del value["id"], value["pubkey"]
    return orjson.dumps(value).decode()


def h(*groups: str) -> Sequence[Tag]:
    return [("h", group) for group in groups]
