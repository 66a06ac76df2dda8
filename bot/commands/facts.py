"""Pure: what the answers are made of, as values, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nips.own.delivery import RelayState


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ok: ✅ or ❌. text: what a person reads, the sign not included. data: the same
    for programs."""

    ok: bool
    text: str
    data: Any = None

    @property
    def sign(self) -> str:
        """✅ or ❌."""
        return "✅" if self.ok else "❌"

    @property
    def said(self) -> str:
        """The message."""
        return f"{self.sign} {self.text}"


@dataclass(frozen=True, slots=True)
class Money:
    """What a day allows or has used; None: no limit, or not known. Money in millionths of a US
    dollar."""

    runs: int | None = None
    tokens: int | None = None
    microusd: int | None = None


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One conversation. name: as people call it; folder: by which it is always found. people: of
    other networks. members: who types in Nostr clients, the assistant not counted. working,
    waiting: its jobs now. own: whether it is main. backends: what was chosen for it; works_with:
    what its next run works with."""

    id: str
    name: str
    folder: str
    own: bool
    people: tuple[str, ...]
    members: int
    trigger: str | None
    room: bool
    archived: bool
    paused: bool
    senders: str
    muted: tuple[str, ...]
    agents: bool
    quiet: str | None
    models: tuple[str, ...] | None
    budget: Money
    spent: Money | None
    persona: str
    working: int
    waiting: int
    backends: tuple[str, ...] | None = None
    works_with: tuple[str, ...] = ("builtin",)
    owner_speaks: bool = False


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One job. state: `done`, `failed`, `stopped`, `at work`, `waiting`. asked_by: whose message.
    what: words about that message. begun: when each attempt was. lasted_s: from the first attempt
    to its end, or until now. words: why it failed. task: the id of the one that it is a run of,
    slot: which run of it; slot_at: when that was, by the task's clock; delay_s: how much later the
    first attempt began."""

    id: str
    group: str
    state: str
    asked_at: int
    asked_by: str = ""
    what: str = ""
    messages: int = 1
    not_before: int | None = None
    begun: tuple[int, ...] = ()
    ended_at: int | None = None
    lasted_s: int | None = None
    words: str = ""
    cost: Money | None = None
    task: str | None = None
    slot: str | None = None
    slot_at: str | None = None
    delay_s: int | None = None


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """A public relay. state: a word for what it is to us, since `since_at`; reason: why, where it
    is not listened to; healthy_at: until when nothing was missed of it; answered_at: when it last
    answered a REQ, in `answer_ms`; reconnects: since the bridge's start; accepted, refused: what
    it said to events of ours; own: it is in the bot's inbox list and not configured."""

    url: str
    state: str
    reason: str = ""
    since_at: int | None = None
    healthy_at: int | None = None
    last_event_at: int | None = None
    answered_at: int | None = None
    answer_ms: int | None = None
    reconnects: int = 0
    accepted: int = 0
    refused: int = 0
    own: bool = False

    @property
    def is_well(self) -> bool:
        """Say whether it is listened to."""
        return self.state == "listening"


@dataclass(frozen=True, slots=True)
class SetAsideFacts:
    """A message that could not be opened or taken, by its wrap's id, and why."""

    wrap: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class RelaysFacts:
    """All of them, as the bridge wrote them down at `as_of` (None: never yet); what became of the
    messages since its start; and how many of ours are still on their way (`pending`), or wait for
    somebody who has no inbox list (`no_list`)."""

    relays: tuple[RelayFacts, ...]
    as_of: int | None
    messages: dict[str, int]
    set_aside: tuple[SetAsideFacts, ...] = ()
    pending: int = 0
    no_list: int = 0


@dataclass(frozen=True, slots=True)
class PublishedFacts:
    """One public event of the assistant's, or a draft. what: `note`, `article`, `draft` and so on.
    words: its title, or its first words. at: of this version; first_at: since when it is out.
    relays: empty until a bridge has begun with it."""

    id: str
    kind: int
    what: str
    words: str
    slug: str | None
    at: int
    first_at: int
    draft: bool
    link: str
    relays: tuple[RelayState, ...]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One warning of a part, nothing of a message in it."""

    at: str
    part: str
    level: str
    words: str


@dataclass(frozen=True, slots=True)
class SignalFacts:
    """How the Signal bridge was, as it last wrote down. state: `listening`, `away` (its service is
    not reached), `waiting` (for an account), `not known`; since_at: of the state; mode, version: of
    the service. messages: how many since the start, by what became of them. pending, uncertain,
    failed: of what goes out. as_of: when it was written; unix seconds."""

    state: str
    as_of: int
    reason: str = ""
    since_at: int | None = None
    mode: str = ""
    version: str = ""
    messages: Mapping[str, int] = field(default_factory=dict)
    pending: int = 0
    uncertain: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """How the assistant is. engine: what is wrong with the engine of containers, None: nothing.
    relays: listened to, of how many. set_aside: how many messages were. signal: None where that
    bridge has never run."""

    name: str
    up_s: int
    signer: bool
    engine: str | None
    relays: tuple[int, int] | None
    groups: int
    archived: int
    paused: int
    working: int
    waiting: int
    today: Money | None
    questions: int
    strangers: int
    models: int
    set_aside: int = 0
    signal: SignalFacts | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stranger or a question: its code and what it is about."""

    code: str
    words: str
    at: int | None = None


def as_data(value: Any) -> Any:
    """A value of this file as JSON has it."""
    return [as_data(one) for one in value] if isinstance(value, (list, tuple)) else asdict(value)
