"""A desk with an injected clock, and the shorthand for asking it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from nips import nip46
from nips.event import Event, Template
from nips.key import SecretKey
from nips.own.grant import Grant
from signer.desk import Desk
from signer.ledger import Ledger
from signer.secret import Memory, Secret
from signer.work import Arrived, Asked, Clocks, Reply
from tests.unit.signer.house import NOW, House, templates_json


def secret_of(key: SecretKey, memory: Memory | None = None) -> Secret:
    """The key as the process gets it: through a pipe."""
    reads, writes = os.pipe()
    os.write(writes, key.raw)
    os.close(writes)
    try:
        return Secret(reads, memory)
    finally:
        os.close(reads)


@dataclass
class Scene:
    """One signer's desk on `folder`; `wall_s` and `monotonic_s` are the test's to move."""

    house: House
    folder: Path
    wall_s: float = NOW
    monotonic_s: float = 1_000.0

    def __post_init__(self) -> None:
        self.secret = secret_of(self.house.bot)
        self.open()

    def open(self) -> None:
        """Begin as a new process does: nothing is known but the folder."""
        self.ledger = Ledger(self.folder / "ledger.sqlite")
        self.desk = Desk(
            self.ledger,
            self.secret,
            self.house.signer,
            self.house.roles,
            self.house.ceiling,
            self.folder,
            Clocks(lambda: self.wall_s, lambda: self.monotonic_s),
        )

    def reopen(self) -> None:
        self.ledger.close()
        self.open()

    def configure(self, **changes: object) -> None:
        """Go on with another house: its ceiling, or whether its owner is named."""
        self.house = replace(self.house, **changes)  # type: ignore[arg-type]
        self.reopen()

    def passes(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    def grant(self, grant: Grant, at: int | None = None, by: SecretKey | None = None) -> None:
        event = self.house.granted(grant, at or int(self.wall_s), by)
        assert self.desk.take([Arrived(event, 1)]) == []

    def ask(
        self, client: SecretKey, method: str, *params: str, request_id: str = ""
    ) -> nip46.Response:
        return self.reply(client, method, *params, request_id=request_id).response

    def reply(self, client: SecretKey, method: str, *params: str, request_id: str = "") -> Reply:
        request, event = self.house.request(client, method, *params, request_id=request_id)
        [reply] = self.desk.take([Asked(event)])
        assert isinstance(reply, Reply)
        assert (reply.client, reply.response.id) == (client.public, request.id)
        return reply

    def sign(self, template: Template, request_id: str = "", at: int | None = None) -> Reply:
        """Ask in the session's name, at the time it is here."""
        now = replace(template, created_at=int(self.wall_s) if at is None else at)
        return self.reply(
            self.house.session, "sign_event", templates_json(now), request_id=request_id
        )


def signed(response: nip46.Response) -> Event:
    """The event in an answer, whose signature holds."""
    assert response.error is None, response.error
    event = Event.from_json(orjson.loads(response.result or ""))
    event.verify()
    return event


def refusal(response: nip46.Response) -> str:
    assert response.result is None
    assert response.error is not None
    return str(response.error)
