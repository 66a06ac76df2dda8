"""Pure: who is who on one installation's relay; public keys only. Source: `DATA/roles.toml`.

relay = "<64 hex>"      the relay's own key (NIP-11 `self`)
signer = "<64 hex>"     answers signing requests
router = "<64 hex>"     decides and starts jobs; answers the agents' other requests
bot = "<64 hex>"        the assistant's identity
main = "<uuid>"         the owner's own group
owner = "<64 hex>"      optional: until then a pairing names the owner
chat = "<64 hex>"       optional: the terminal's key
model = "<64 hex>"      optional: the model proxy, which reads grants and writes nothing
console = "<64 hex>"    optional: the machine's own command line, which asks the router
former = ["<64 hex>"]   optional: identities that the assistant had before; they may nothing
[bridges]
nostr = "<64 hex>"      one for each bridge
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from nips.key import is_public_key
from nips.own.fields import GROUP_ID, known_only
from nips.refusal import Malformed

_REQUIRED = ("relay", "signer", "router", "bot")
_OPTIONAL = ("owner", "chat", "model", "console")
MAIL_BRIDGE = "nostr"  # the name of the one that carries gift wraps
_BRIDGE_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


@dataclass(frozen=True, slots=True)
class Roles:
    """The keys of the roles in hex, and the UUID of the main group. `bridges`: name to key."""

    relay: str
    signer: str
    router: str
    bot: str
    main: str
    owner: str | None = None
    chat: str | None = None
    model: str | None = None
    console: str | None = None
    bridges: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    former: tuple[str, ...] = ()

    def role_of(self, pubkey: str) -> str | None:
        """`relay`, `signer`, `router`, `bot`, `owner`, `chat`, `model`, `console` or
        `bridge`; None for others."""
        for role in (*_REQUIRED, *_OPTIONAL):
            if getattr(self, role) == pubkey:
                return role
        return "bridge" if self.bridge_of(pubkey) is not None else None

    def bridge_of(self, pubkey: str) -> str | None:
        """The name of the bridge whose key this is, such as `nostr`; None for others."""
        return next((name for name, key in self.bridges.items() if key == pubkey), None)

    def bridge_keys(self, network: str) -> frozenset[str]:
        """The key of that network's bridge, as the authors of a filter; none where it has none."""
        return frozenset(key for name, key in self.bridges.items() if name == network)

    @property
    def mail_bridge(self) -> str | None:
        """The key of the bridge that carries gift wraps: no other reads them all, nor has any need
        of the bot's key."""
        return self.bridges.get(MAIL_BRIDGE)

    def to_toml(self) -> str:
        """The file's text; `parse(tomllib.loads(text))` gives the same value back."""
        names = (*_REQUIRED, "main", *_OPTIONAL)
        lines = [f'{name} = "{value}"' for name in names if (value := getattr(self, name))]
        if self.former:
            quoted = ", ".join(f'"{key}"' for key in self.former)
            lines.append(f"former = [{quoted}]")
        lines += ["", "[bridges]", *(f'{name} = "{key}"' for name, key in self.bridges.items())]
        return "\n".join(lines) + "\n"


def parse(mapping: Mapping[str, object]) -> Roles:
    """Read the decoded file. Raises Malformed naming the entry that is wrong or missing.

    No key may hold two roles: what one of them may do the other would then do too, and the
    agent's identity must not be what decides (`bot`) nor the terminal what approves (`owner`).
    """
    known_only("roles", mapping, {*_REQUIRED, *_OPTIONAL, "main", "bridges", "former"})
    keys: dict[str, str] = {}
    for role in (*_REQUIRED, *_OPTIONAL):
        given = mapping.get(role)
        if given is None and role in _OPTIONAL:
            continue
        keys[role] = _key(role, given)
    main = mapping.get("main")
    if not isinstance(main, str) or not GROUP_ID.fullmatch(main):
        raise Malformed("roles: main must be a lower-case UUID")
    given_bridges = mapping.get("bridges", {})
    if not isinstance(given_bridges, Mapping):
        raise Malformed("roles: bridges must be a table of names and keys")
    bridges: dict[str, str] = {}
    for name, given in given_bridges.items():
        if not isinstance(name, str) or not name or not _BRIDGE_NAME_CHARS.issuperset(name):
            raise Malformed("roles: a bridge's name is made of a-z, 0-9 and -")
        bridges[name] = _key(f"bridges.{name}", given)
    given_former = mapping.get("former", [])
    if not isinstance(given_former, list):
        raise Malformed("roles: former must be an array of keys")
    former = tuple(_key("former", given) for given in given_former)
    every = [*keys.values(), *bridges.values(), *former]
    if len(set(every)) != len(every):
        raise Malformed("roles: one key holds two roles; every role needs a key of its own")
    return Roles(main=main, bridges=MappingProxyType(bridges), former=former, **keys)


def _key(name: str, given: object) -> str:
    if not is_public_key(given):
        raise Malformed(f"roles: {name} must be a public key of 64 lower-case hex digits")
    return str(given)
