"""Pure: what an owner can ask of the assistant itself, as values: `grammar` reads them from text,
`carry_out` does them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bot.tasks.wanted import Wanted

NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Bad:
    """It has a command's form and is none; `sentence` says what is wrong, `about` which command
    was meant (a name of `table`), where that can be told."""

    sentence: str
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Help:
    """`/help`, `/help COMMAND`."""

    about: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """`/status`."""


@dataclass(frozen=True, slots=True)
class ListGroups:
    """`/groups`."""


@dataclass(frozen=True, slots=True)
class ShowGroup:
    """`/group NAME`."""

    group: str


@dataclass(frozen=True, slots=True)
class NewGroup:
    """`/group new`. trigger: as a binding has it ("" the default, None every message).
    people: as counterparts, `nostr:<hex>` or `signal:<id>`."""

    name: str
    trigger: str | None = ""
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RenameGroup:
    """`/group NAME rename NEW`."""

    group: str
    name: str


@dataclass(frozen=True, slots=True)
class BindGroup:
    """`/group NAME bind npub…`, or, with `on` False, `unbind`. people: as counterparts."""

    group: str
    people: tuple[str, ...]
    on: bool = True


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """What `/group NAME trigger|senders|agents|owner_speaks` changes: fields of its binding."""

    group: str
    fields: Mapping[str, object] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class SetBackends:
    """`/group NAME backend`: what its agents work with, in order; None: as configured."""

    group: str
    backends: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """`/group NAME quiet`: from `start` to `end` as HH:MM in `zone` (None: as before, or this
    machine's); without them there are none any more."""

    group: str
    start: str | None = None
    end: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Mute:
    """`/group NAME mute|unmute npub…`: people, keys in hex, whose words never make work."""

    group: str
    people: tuple[str, ...]
    on: bool = True


@dataclass(frozen=True, slots=True)
class ArchiveGroup:
    """`/group NAME archive`, or, with `on` False, `restore`."""

    group: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    """`/group NAME delete`; wipe: its folder too."""

    group: str
    wipe: bool = False


@dataclass(frozen=True, slots=True)
class ListTasks:
    """`/tasks`, `/tasks GROUP`."""

    group: str | None = None


@dataclass(frozen=True, slots=True)
class ShowTask:
    """`/task ID`, `/task show ID`; task: its id, the beginning of that, or its title."""

    task: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """`/task new`; group None: where it is said."""

    wanted: Wanted
    group: str | None = None


@dataclass(frozen=True, slots=True)
class EditTask:
    """`/task edit`. version: of the task as it was seen, "" where that is not said."""

    task: str
    wanted: Wanted
    version: str = ""


@dataclass(frozen=True, slots=True)
class PauseTask:
    """`/task pause`, or, with `on` False, `/task resume`."""

    task: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class CancelTask:
    """`/task cancel`: it is gone."""

    task: str


@dataclass(frozen=True, slots=True)
class RunTask:
    """`/task run`: now, besides its times."""

    task: str


@dataclass(frozen=True, slots=True)
class TaskRuns:
    """`/task runs`: what became of its last ones."""

    task: str
    count: int = 10


@dataclass(frozen=True, slots=True)
class ListRuns:
    """`/runs`, `/runs GROUP`, `/runs 20`."""

    group: str | None = None
    count: int = 10


@dataclass(frozen=True, slots=True)
class ShowRun:
    """`/run ID`; run: 4 to 64 hex digits, its beginning."""

    run: str


@dataclass(frozen=True, slots=True)
class Relays:
    """`/relays`."""


@dataclass(frozen=True, slots=True)
class Signal:
    """`/signal`."""


@dataclass(frozen=True, slots=True)
class ListPublished:
    """`/published`, `/published N`."""

    count: int = 10


@dataclass(frozen=True, slots=True)
class Logs:
    """`/logs`, `/logs N`."""

    count: int = 10


@dataclass(frozen=True, slots=True)
class ListStrangers:
    """`/allow` alone."""


@dataclass(frozen=True, slots=True)
class Allow:
    """`/allow CODE [NAME]`."""

    code: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ListQuestions:
    """`/approve` or `/deny` alone."""


@dataclass(frozen=True, slots=True)
class Settle:
    """`/approve CODE`, `/deny CODE`."""

    code: str
    yes: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """`/stop`, `/stop GROUP`, `/stop all`, `/stop RUN`."""

    what: str | None = None


@dataclass(frozen=True, slots=True)
class ShowBudget:
    """`/budget`, `/budget GROUP`."""

    group: str | None = None


@dataclass(frozen=True, slots=True)
class SetBudget:
    """`/budget GROUP runs 50 usd off`: a day's limits for good. Keys: runs, tokens, microusd;
    None: no limit."""

    group: str
    limits: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class RaiseBudget:
    """`/budget GROUP runs +10`: more for today alone."""

    group: str
    more: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ShowModels:
    """`/model`, `/model GROUP`."""

    group: str | None = None


@dataclass(frozen=True, slots=True)
class SetModels:
    """`/model GROUP NAME…`; models None: as configured, (): none."""

    group: str
    models: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ShowPersona:
    """`/persona`, `/persona GROUP`."""

    group: str | None = None


@dataclass(frozen=True, slots=True)
class SetPersona:
    """`/persona [GROUP] name|picture|text …`; group None: everywhere; value None: none any
    more."""

    group: str | None
    part: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Pause:
    """`/pause`, `/resume`, each alone (everywhere) or with a group."""

    group: str | None = None
    on: bool = True


Reading = (
    Help | Status | ListGroups | ShowGroup | ListTasks | ShowTask | ListRuns | ShowRun | Relays
    | Signal | ListPublished | Logs | ListStrangers | ListQuestions | ShowBudget | ShowModels
    | ShowPersona | TaskRuns
)  # fmt: skip
TaskOrder = NewTask | EditTask | PauseTask | CancelTask | RunTask
Order = (
    NewGroup | RenameGroup | BindGroup | ChangeGroup | QuietHours | Mute | ArchiveGroup
    | DeleteGroup | Allow | Settle | SetBudget | RaiseBudget | SetModels | SetBackends | SetPersona
    | Pause | TaskOrder
)  # fmt: skip
OfTasks = ListTasks | ShowTask | TaskRuns | TaskOrder
Command = Reading | Order | Stop


def is_order(command: Command) -> bool:
    """Say whether it changes who may do what, so that only the owner's proved word counts."""
    return isinstance(command, Order)
