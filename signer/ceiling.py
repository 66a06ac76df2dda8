"""Pure: the ceiling, which no grant exceeds. Source: `DATA/signer/ceiling.toml`.

The router mints grants; the ceiling bounds the router. It is changed from this machine's command
line only, so a router that was taken over can have signed what stands here, and not more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from nips.event import MAX_KIND
from nips.own.fields import group_id, integer, known_only, text
from nips.refusal import Malformed
from signer import model_caps
from signer.model_caps import ModelCaps

# Whatever a file or a grant says, no session and no login gets these: seals and wraps (speaking
# as the bot unseen), AUTH (logging in as it), requests to ourselves, group moderation, our own
# records, vanishing, the router's word on jobs, what they do and cost, and questions to the owner,
# which are the signer's.
NEVER_FOR_SESSIONS = frozenset(
    {13, 62, 1059, 22_242, 24_133, 24_200, 30_078, 44_200}
    | {*range(9_000, 9_023), *range(43_001, 43_007), *range(46_000, 46_100)}
)
# And these only with the owner's own yes to the very event: the bot's profile, contacts,
# retractions and relay lists, by which somebody would take over its name.
ONLY_ASKED = frozenset({0, 3, 5, 10_002, 10_050})
NEVER_UNASKED = NEVER_FOR_SESSIONS | ONLY_ASKED
# What speaks inside a group: exactly one `h` tag, the group's. A reaction may be public besides,
# where `public_reactions` says so.
GROUP_KINDS = frozenset({7, 9})
# What a bunker client may have signed, if it was invited to: what people write in public.
LOGIN_KINDS = frozenset({1, 6, 7, 16, 1_111, 9_802, 30_023, 30_024})
# The direct messages that a bridge may have sealed.
SEALED_KINDS = frozenset({7, 14, 15})

_TTLS = ("longest_ttl_s", "bridge_longest_ttl_s", "bunker_longest_ttl_s")
_KINDS = ("session_kinds", "bunker_kinds", "pre_approved")
_NAMES = {*_TTLS, *_KINDS, "ask_kinds", "relays", "login_relays"}
_TABLES = {"caps", "models", "profile", "groups"}
_OF_A_GROUP = "public: 1 note, 1111 comment, 30023 article; 30024 draft, not sent out"


@dataclass(frozen=True, slots=True)
class Caps:
    """How many events the bot signs at most, over all grants together; `bunker_…`: over all
    bunker clients, and how many texts they may have decrypted."""

    per_minute: int = 600
    per_day: int = 50_000
    group_per_minute: int = 120
    group_per_day: int = 5_000
    bunker_per_minute: int = 30
    bunker_per_day: int = 1_000
    bunker_decrypts_per_day: int = 200
    questions_per_day: int = 30
    open_questions: int = 5


@dataclass(frozen=True, slots=True)
class Ceiling:
    """See above. `groups`: kinds that one group's sessions get besides `session_kinds`.
    public_reactions: the groups whose sessions get kind 7 without an `h` too.

    ask_kinds: what the main group's sessions may have the owner asked for, besides; signed for
    sessions only with a yes each time, except for those in pre_approved.
    relays: the configured public relays; login_relays: others at which the bot may log in;
    profile: the object of the only kind 0 there may be without a yes.
    """

    longest_ttl_s: int = 180
    bridge_longest_ttl_s: int = 3_600
    bunker_longest_ttl_s: int = 86_400
    session_kinds: frozenset[int] = GROUP_KINDS
    bunker_kinds: frozenset[int] = LOGIN_KINDS
    groups: Mapping[str, frozenset[int]] = field(default_factory=lambda: MappingProxyType({}))
    public_reactions: frozenset[str] = frozenset()
    ask_kinds: frozenset[int] = ONLY_ASKED | {30_023}
    pre_approved: frozenset[int] = frozenset()
    relays: tuple[str, ...] = ()
    login_relays: tuple[str, ...] = ()
    profile: Mapping[str, str | bool] = field(default_factory=lambda: MappingProxyType({}))
    caps: Caps = Caps()
    models: ModelCaps = field(default_factory=ModelCaps)

    @property
    def kinds_of_logins(self) -> frozenset[int]:
        """The kinds that bunker clients may ask for at all."""
        return self.bunker_kinds - NEVER_UNASKED

    def kinds_of(self, group: str) -> frozenset[int]:
        """The kinds that the file names for a group's sessions; of some the owner is asked."""
        return (self.session_kinds | self.groups.get(group, frozenset())) - NEVER_UNASKED

    def may_be_public(self, kind: int, group: str) -> bool:
        """Say whether an event of this kind that a group's session asks for may lack an `h`."""
        return kind not in GROUP_KINDS or (kind == 7 and group in self.public_reactions)

    def may_be_asked(self, kind: int) -> bool:
        """Say whether main's sessions may have the owner asked for a kind not named for them."""
        return kind in self.ask_kinds - NEVER_FOR_SESSIONS

    def asks(self, kind: int) -> bool:
        """Say whether the owner is asked each time before this kind is signed for a session."""
        return kind in ONLY_ASKED or kind in self.ask_kinds - self.pre_approved


def parse(mapping: Mapping[str, Any]) -> Ceiling:
    """Read the decoded file. Raises Malformed naming the entry that is wrong."""
    known_only("ceiling", mapping, _NAMES | _TABLES)
    given: dict[str, Any] = {
        name: integer(f"ceiling: {name}", mapping[name], 1) for name in _TTLS if name in mapping
    }
    given |= {name: _kinds(name, mapping[name]) for name in _KINDS if name in mapping}
    if "ask_kinds" in mapping:
        given["ask_kinds"] = _askable("ask_kinds", mapping["ask_kinds"])
    groups = {
        group_id("ceiling: a group", name): _group(name, table)
        for name, table in _table("groups", mapping).items()
    }
    caps = _table("caps", mapping)
    known_only("ceiling: caps", caps, Caps.__slots__)
    profile = _table("profile", mapping)
    if not all(isinstance(value, str | bool) for value in profile.values()):
        raise Malformed("ceiling: a profile's values are strings, true or false")
    return Ceiling(
        groups=MappingProxyType({name: kinds for name, (kinds, _) in groups.items()}),
        public_reactions=frozenset(name for name, (_, are_public) in groups.items() if are_public),
        relays=_relays("relays", mapping),
        login_relays=_relays("login_relays", mapping),
        profile=MappingProxyType(dict(profile)),
        caps=Caps(**{name: integer(f"ceiling: {name}", value) for name, value in caps.items()}),
        models=model_caps.parse(_table("models", mapping)),
        **given,
    )


def _table(name: str, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    table = mapping.get(name, {})
    if not isinstance(table, Mapping):
        raise Malformed(f"ceiling: {name} must be a table")
    return table


def _group(name: str, table: object) -> tuple[frozenset[int], bool]:
    """Its kinds, and whether its reactions may be public."""
    if not isinstance(table, Mapping):
        raise Malformed(f"ceiling: the group {name} must be a table")
    known_only(f"ceiling: the group {name}", table, {"kinds", "public_reactions"})
    if type(are_public := table.get("public_reactions", False)) is not bool:
        raise Malformed(f"ceiling: the group {name}: public_reactions is true or false")
    return _kinds(f"the group {name}", table.get("kinds", [])), are_public


def _kinds(where: str, given: object) -> frozenset[int]:
    kinds = _askable(where, given)
    if asked := kinds & ONLY_ASKED:
        raise Malformed(f"ceiling: {where}: kind {min(asked)} always needs the owner's own yes")
    return kinds


def _askable(where: str, given: object) -> frozenset[int]:
    if not isinstance(given, list):
        raise Malformed(f"ceiling: {where}: kinds must be an array")
    kinds = frozenset(integer(f"ceiling: {where}: a kind", kind, 0, MAX_KIND) for kind in given)
    if never := kinds & NEVER_FOR_SESSIONS:
        # Better refused while a person reads than passed over when they rely on it.
        whose = "login" if where == "bunker_kinds" else "session"
        raise Malformed(f"ceiling: {where}: kind {min(never)} is never a {whose}'s")
    return kinds


def _relays(name: str, mapping: Mapping[str, Any]) -> tuple[str, ...]:
    given = mapping.get(name, [])
    if not isinstance(given, list):
        raise Malformed(f"ceiling: {name} must be an array of addresses")
    return tuple(text("ceiling: a relay", url) for url in given)


def render(ceiling: Ceiling) -> str:
    """The file's text, each line with what it means; `parse` reads the same value back."""
    caps = ceiling.caps
    lines = [
        "# What may be signed with the bot's key, whatever a grant says. The router's grants are",
        "# cut down to this. Change it here, then restart the signer.",
        "",
        f"longest_ttl_s = {ceiling.longest_ttl_s}  # a session's grant ends so soon unless renewed",
        f"bridge_longest_ttl_s = {ceiling.bridge_longest_ttl_s}  # the same for a bridge's",
        f"bunker_longest_ttl_s = {ceiling.bunker_longest_ttl_s}  # of `nostrclaw bunker`'s logins",
        f"session_kinds = {sorted(ceiling.session_kinds)}  # anywhere: 7 reaction, 9 message",
        f"bunker_kinds = {sorted(ceiling.bunker_kinds)}  # what a login may be invited to",
        f"ask_kinds = {sorted(ceiling.ask_kinds)}  # in main, with the owner's yes each time",
        f"pre_approved = {sorted(ceiling.pre_approved)}  # of these, without: 30023 article",
        f"relays = {_toml(list(ceiling.relays))}  # where the bot may log in; its 10050 and 10002",
        f"login_relays = {_toml(list(ceiling.login_relays))}  # where it may log in besides",
        "",
        "[caps]  # over all grants together",
        f"per_minute = {caps.per_minute}  # events signed or sealed",
        f"per_day = {caps.per_day}  # by the UTC day",
        f"group_per_minute = {caps.group_per_minute}  # in one conversation",
        f"group_per_day = {caps.group_per_day}",
        f"bunker_per_minute = {caps.bunker_per_minute}  # of all logins together",
        f"bunker_per_day = {caps.bunker_per_day}  # the same by the UTC day",
        f"bunker_decrypts_per_day = {caps.bunker_decrypts_per_day}  # texts, by --decrypt logins",
        f"questions_per_day = {caps.questions_per_day}  # to the owner, by the UTC day",
        f"open_questions = {caps.open_questions}  # at a time",
        "",
        *model_caps.render(ceiling.models),
        "",
        "[profile]  # the only kind 0 that is signed without a yes",
        *(f"{_toml(name)} = {_toml(value)}" for name, value in ceiling.profile.items()),
    ]
    for group in sorted(ceiling.groups.keys() | ceiling.public_reactions):
        lines += [
            "",
            f'[groups."{group}"]  # besides session_kinds',
            f"kinds = {sorted(ceiling.groups.get(group, ()))}  # {_OF_A_GROUP}",
            f"public_reactions = {_toml(group in ceiling.public_reactions)}  # 7 to what is public",
        ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # A JSON string of printable text is a TOML basic string, but TOML refuses a raw DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
