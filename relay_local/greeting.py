"""Pure: what a relay says to the person who started it at a terminal."""

from __future__ import annotations

from nips.nip19 import encode_npub


def greeting(url: str, data: str, owner: str | None, *, public: bool) -> str:
    """A few lines: who may come in, what to do next, where things are.

    url: where it listens; data: its folder; owner: in hex, or None.
    """
    if public:
        first = "Open: everybody may read and write here."
        then = "Give its address to whom you like."
    elif owner is None:
        first = "Nobody can use this relay yet."
        then = "Start it with --owner and your public key (npub…), or with --open for everybody."
    else:
        who = f"you ({encode_npub(owner)}) and those whom you let into a group"
        first = f"Private: only {who} read or write."
        then = "Add its address to a client with groups (NIP-29), sign in, and make a group."
    return "\n".join(
        [
            f"  {first}",
            f"  {then}",
            f"  Address: {url}",
            f"  Its events and its key: {data}",
            "  Ctrl-C ends it; nothing that was answered is lost.",
            "",
        ]
    )
