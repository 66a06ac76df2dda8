"""Pure: what can be asked of the router: a method's name, who may call it, what carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from bot.requests.callers import Bridge, Caller, Console, ModelProxy, Session, TheRouter
from nips.own.once import once_key
from nips.refusal import Prefix, refused

NAMES: Mapping[type[Caller], str] = MappingProxyType(
    {
        Session: "a session",
        Bridge: "a bridge",
        Console: "the command line",
        ModelProxy: "the model proxy",
        TheRouter: "the router",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a known caller. `id` is the caller's own choice; `params` are its words."""

    caller: Caller
    id: str
    params: tuple[str, ...]

    @property
    def session(self) -> Session:
        """The caller of a method that only sessions may call."""
        assert isinstance(self.caller, Session)
        return self.caller

    def once(self, effect: str) -> str:
        """The once-key of an effect of this request: another attempt at the same job that asks
        the same under the same id has it once. Attack: an id that another job has used has
        another key here."""
        return once_key("request", self.session.job.id, self.id, effect)

    def told(self, words: str) -> tuple[str, ...]:
        """The parts of the once-key under which the owner is told something of this request.
        Attack: an agent that gives its second wish the id of its first, to have it go untold."""
        return ("request", self.session.job.id, self.id, "told", words)

    def take(self, least: int, most: int, usage: str) -> tuple[str, ...]:
        """The parameters, filled up with empty ones. Raises Refused with `usage`."""
        if not least <= len(self.params) <= most:
            raise refused(Prefix.INVALID, f"it is called with {usage}")
        return (*self.params, *([""] * (most - len(self.params))))


class Handler(Protocol):
    """Returns the result; raises Refused with the reason. It may be called again with the same
    request by a later process, so what it does must be once in effect. Its name is the method's."""

    __name__: str

    def __call__(self, asked: Asked, /) -> Awaitable[str]: ...


@dataclass(frozen=True, slots=True)
class Method:
    """callers: the kinds of callers that may call it, and nobody else."""

    name: str
    callers: tuple[type[Caller], ...]
    handle: Handler


def table(methods: Iterable[Method]) -> Mapping[str, Method]:
    """The methods by name. Raises ValueError where two have one name."""
    found: dict[str, Method] = {}
    for method in methods:
        if method.name in found:
            raise ValueError(f"two methods are called {method.name}")
        found[method.name] = method
    return MappingProxyType(found)


def allowed(methods: Mapping[str, Method], name: str, caller: Caller) -> Method:
    """The method that the caller wants. Raises Refused.

    Attack: a bridge that was taken over registers a group of its own, or a session tells of a
    stranger, or of what it has spent. One sentence for what is not there and what is not theirs.
    """
    method = methods.get(name)
    if method is None or type(caller) not in method.callers:
        shown = "".join(sign for sign in name if sign.isprintable())[:40]
        raise refused(Prefix.RESTRICTED, f"{NAMES[type(caller)]} cannot ask for {shown!r} here")
    return method
