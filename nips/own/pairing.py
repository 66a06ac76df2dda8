"""Pure: the owner, where a pairing named one. Source: PROTOCOL.md "Pairing".

Kind 30078 by the signer's role key, `["d","owner"]`, `["p",<owner>]`. It counts only while
`roles.toml` names no owner; whoever may write that file outranks a message with a code in it.
"""

from __future__ import annotations

from nips.event import Event, Template
from nips.key import is_public_key
from nips.kinds import Kind
from nips.own.fields import of_kind, only_tag
from nips.own.roles import Roles
from nips.refusal import Malformed

D = "owner"


def template(signer: str, owner: str, created_at: int) -> Template:
    """The unsigned event by which `signer` names the owner (both hex)."""
    return Template(
        signer,
        created_at,
        Kind.APP_DATA,
        (("d", D), ("p", owner), ("alt", "The owner was named by pairing")),
        "",
    )


def parse(event: Event, signer: str) -> str:
    """The owner's key in hex. Id, signature and author are checked here, because this one
    event makes a stranger the owner. Raises Malformed."""
    of_kind("owner", event, Kind.APP_DATA)
    if event.pubkey != signer:
        raise Malformed("owner: not signed by the signer's role key")
    event.verify()
    if only_tag("owner", event, "d") != D:
        raise Malformed(f"owner: d must be {D}")
    owner = only_tag("owner", event, "p")
    if not is_public_key(owner):
        raise Malformed("owner: p must be a public key of 64 lower-case hex digits")
    return owner


def owner_of(roles: Roles, paired: str | None) -> str | None:
    """Who the owner is: as the roles say, else as a pairing said, else nobody yet."""
    return roles.owner if roles.owner is not None else paired
