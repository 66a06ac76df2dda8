"""Pure: the events that set a task off: a filter, as a task's `schedule` tag and people write it.

    {"kinds":[30023],"authors":["followed"]}     in public: an article by whom the owner follows
    {"kinds":[1],"#p":["bot"]}                   a note that names the assistant
    {"kinds":[9],"#h":["here"],"#t":["urgent"]}  in the task's own conversation

With `#h` it is about what is said in the conversation, without about what is public. Instead of
keys there may stand words: `bot` and `owner`, and `followed` for those whom the owner follows.
Source: PROTOCOL.md "What sets a task off", NIP-01.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from nips import nip32
from nips.event import MAX_KIND, Event
from nips.filter import Filter
from nips.key import is_hex
from nips.kinds import Kind
from nips.nip19 import public_key_of
from nips.own.public_query import MAX_EVENT_BYTES, is_private
from nips.own.schedule import MAX_EXPRESSION_CHARS
from nips.refusal import Malformed

MAX_KINDS = 20
MAX_VALUES = 100  # of one list
MAX_VALUE_CHARS = 255
MAX_AHEAD_S = 900  # of an event's own time before ours
MAX_WRITTEN_BYTES = 192 * 2**10  # what a request holds, with what is around it
HERE, BOT, OWNER, FOLLOWED = "here", "bot", "owner", "followed"
LETTERS = "adeghkpqt"
# What of it says about whom, or about what, so that not everything in the world sets a task off.
NARROWING = frozenset("aepqt")
FORM = 'write it as {"kinds":[1],"#p":["bot"]}'


@dataclass(frozen=True, slots=True)
class People:
    """Whom the words mean, in hex. owner: the keys by which the owner speaks. followed: whom the
    owner follows."""

    bot: str
    owner: frozenset[str]
    followed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Watch:
    """authors: None for anybody's; keys in hex, and words. tags: a letter to its values, without
    `h`. here: whether it is about the task's own conversation."""

    kinds: frozenset[int]
    authors: frozenset[str] | None = None
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    here: bool = False

    @property
    def needs_followed(self) -> bool:
        """Say whether it depends on whom the owner follows."""
        return FOLLOWED in (self.authors or ()) or FOLLOWED in self.tags.get("p", ())

    def written(self) -> str:
        """The expression, as a task's tag has it."""
        known: dict[str, list[int] | list[str]] = {"kinds": sorted(self.kinds)}
        if self.authors is not None:
            known["authors"] = sorted(self.authors)
        known |= {f"#{letter}": sorted(values) for letter, values in sorted(self.tags.items())}
        if self.here:
            known["#h"] = [HERE]
        return json.dumps(known, separators=(",", ":"), ensure_ascii=False)

    def filter(self, people: People, group: str) -> Filter | None:
        """What it means now, for a task of a group (a UUID); None where it means nobody."""
        tags = {
            letter: _meant(values, people) if letter == "p" else values
            for letter, values in self.tags.items()
        }
        authors = None if self.authors is None else _meant(self.authors, people)
        if self.here:
            tags["h"] = frozenset({group})
        if authors == frozenset() or frozenset() in tags.values():
            return None
        return Filter(kinds=self.kinds, authors=authors, tags=tags)


def parse(expression: str, group: str) -> Watch:
    """Read what a person has written, or a task's tag. group: the task's own. Raises Malformed
    with how it is written right."""
    try:
        given = json.loads(expression)
    except (ValueError, RecursionError):
        raise Malformed(f"an event is said as a filter in JSON: {FORM}") from None
    if not isinstance(given, dict) or not given:
        raise Malformed(f"an event is said as a filter in JSON: {FORM}")
    unknown = [name for name in given if not _is_known(name)]
    if unknown:
        raise Malformed(
            f"a filter that sets a task off has no {unknown[0][:40]!r}, but kinds, authors, "
            f"{', '.join('#' + letter for letter in LETTERS)}"
        )
    watch = Watch(
        _kinds(given.get("kinds")),
        _keys("authors", given["authors"]) if "authors" in given else None,
        {
            name[1]: _keys(name, values) if name == "#p" else _values(name, values)
            for name, values in given.items()
            if name.startswith("#") and name != "#h"
        },
        "#h" in given and _here(_values("#h", given["#h"]), group),
    )
    if not watch.here and watch.authors is None and NARROWING.isdisjoint(watch.tags):
        raise Malformed(
            "that is more than anybody can read: say whose events (authors), about whom or what "
            "(#p, #e, #q, #a, #t), or that it is about this conversation (#h)"
        )
    if len(written := watch.written()) > MAX_EXPRESSION_CHARS or not written.isprintable():
        raise Malformed(f"a filter that sets a task off has {MAX_EXPRESSION_CHARS} characters")
    return watch


def may_watch(watch: Watch, group: str, main: str) -> bool:
    """Say whether a task of a group may be set off so.

    Attack: another group's agent, talked into it, tells the public relays what it knows, in the
    words that it waits for.
    """
    return watch.here or group == main


def sets_off(wanted: Filter, event: Event, own: frozenset[str], since_s: int, now_s: int) -> bool:
    """Say whether an event, whose signature holds, sets a task off. own: the keys of the assistant
    and its parts. since_s: as old as the task, which goes by no event that is older.

    Attack: what the assistant says in a run sets off the next one, without end; or another's
    assistant and ours set off each other.
    """
    if event.pubkey in own or nip32.is_by_agent(event.tags) or is_unwatched(event.kind):
        return False
    # Attack: one of next year would be new whenever it comes again.
    if not since_s <= event.created_at <= now_s + MAX_AHEAD_S:
        return False
    return wanted.matches(event) and size_of(event) <= MAX_EVENT_BYTES and can_be_told(event)


def is_unwatched(kind: int) -> bool:
    """Say whether nothing of a kind sets a task off: what is private, what is not kept, and what
    the house does: groups, jobs, approvals, costs, records."""
    return (
        is_private(kind)
        or 9_000 <= kind <= 9_030
        or 39_000 <= kind <= 39_009
        or 43_000 <= kind <= 46_999
        or kind == Kind.APP_DATA
    )


def can_be_told(event: Event) -> bool:
    """Say whether an event fits into a request, and into a job: JSON within JSON.

    Attack: a tag of 100,000 empty parts, or control characters of seven bytes each: short as it is
    counted, and longer than whoever is told of it can read, or we can encrypt.
    """
    text = json.dumps(event.to_json(), separators=(",", ":"), ensure_ascii=False)
    return len(json.dumps(text, ensure_ascii=False).encode()) <= MAX_WRITTEN_BYTES


def size_of(event: Event) -> int:
    """The bytes of what an event says, and the characters of its tags."""
    return len(event.content.encode()) + sum(len(part) for tag in event.tags for part in tag)


def _is_known(name: str) -> bool:
    if name in ("kinds", "authors"):
        return True
    return len(name) == 2 and name[0] == "#" and name[1] in LETTERS


def _kinds(given: object) -> frozenset[int]:
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_KINDS:
        raise Malformed(f"say which kinds of events, 1 to {MAX_KINDS} numbers: {FORM}")
    for kind in given:
        if type(kind) is not int or not 0 <= kind <= MAX_KIND:
            raise Malformed(f"a kind is a number from 0 to {MAX_KIND}")
        if is_unwatched(kind):
            raise Malformed(f"events of kind {kind} set no task off")
    return frozenset(given)


def _values(name: str, given: object) -> frozenset[str]:
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_VALUES:
        raise Malformed(f"{name} has 1 to {MAX_VALUES} values")
    for value in given:
        if not isinstance(value, str) or not 1 <= len(value) <= MAX_VALUE_CHARS:
            raise Malformed(f"a value of {name} is a text of 1 to {MAX_VALUE_CHARS} characters")
    return frozenset(given)


def _keys(name: str, given: object) -> frozenset[str]:
    return frozenset(_key(name, value) for value in _values(name, given))


def _key(name: str, value: str) -> str:
    if value in (BOT, OWNER, FOLLOWED) or is_hex(value, 32):
        return value
    try:
        return public_key_of(value)
    except Malformed:
        raise Malformed(
            f"{name} has npubs, keys in hex, or the words bot, owner, followed"
        ) from None


def _here(values: frozenset[str], group: str) -> bool:
    # Attack: a group's task that reads along in another group.
    if values - {HERE, group}:
        raise Malformed('a task is set off by its own conversation only: "#h":["here"]')
    return True


def _meant(values: frozenset[str], people: People) -> frozenset[str]:
    words = {BOT: {people.bot}, OWNER: people.owner, FOLLOWED: people.followed}
    return frozenset().union(*(words.get(value, {value}) for value in values))
