"""Pure: what leaves: a reply as direct messages, and the state of its delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.bridges.splitting import json_bytes, split
from nips import nip32
from nips.event import Event, Template
from nips.nip17 import message_template
from nips.own.delivery import Delivery, RelayState, Status
from nips.refusal import Prefix, Refusal

# A wrap of this much still fits a classic nip44_decrypt through a remote signer (65,535 bytes of
# request), which is the narrowest way in which other clients read one.
MAX_PART_BYTES = 28_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0
GIVE_UP_S = 3 * 86_400
TOO_LATE, GONE = "given up after three days", "retracted or replaced before it was taken"
NO_LIST = ""  # the place of a relay's address while the recipient's are not known
NO_LIST_REASON = "no inbox list"

_FINAL = {Prefix.BLOCKED, Prefix.INVALID, Prefix.POW, Prefix.RESTRICTED, Prefix.MUTE}


def rumors(
    message: Event, bot: str, recipients: Sequence[str], reply_to: str | None
) -> list[Template]:
    """The direct messages that carry a kind 9 to one person, or to all of a room.

    Made of the kind 9 and the recipients alone, so they have the same ids whenever they are made
    again. reply_to: the id of the rumor that it answers, where that is known.
    """
    return [
        # One second apart: clients order by it.
        labelled(
            message_template(
                bot, recipients, part, message.created_at + index, None if index else reply_to
            )
        )
        for index, part in enumerate(split(message.content, MAX_PART_BYTES, json_bytes))
    ]


def labelled(rumor: Template) -> Template:
    """The same, said to be a program's: two assistants that write to each other would otherwise
    take each answer for a person's, without end."""
    return replace(rumor, tags=(*rumor.tags, *nip32.AI))


def waiting(url: str) -> tuple[Status, str]:
    """The state of a relay that has not been asked."""
    return Status.PENDING, NO_LIST_REASON if url == NO_LIST else ""


def verdict(accepted: bool, reason: str) -> Status:
    """What a relay's answer means: done, to be repeated, or final."""
    if accepted:
        return Status.OK
    # A refusal in the protocol's words will not change; anything else may be the network's.
    return Status.FAILED if Refusal.parse(reason).prefix in _FINAL else Status.PENDING


def settle(
    delivery: Delivery, answers: Mapping[str, tuple[Status, str]], now_s: int
) -> Delivery:  # fmt: skip
    """Fold what the relays said into the delivery; without change it is the same value.

    answers: for every relay that still counts, its state and reason. A relay that took the
    event stays, even where the recipient has left it since.
    """
    former = {state.url: state for state in delivery.relays}
    kept = [s for s in delivery.relays if s.url not in answers and s.status is Status.OK]
    for url, (status, reason) in answers.items():
        old = former.get(url)
        same = old is not None and (old.status, old.reason) == (status, reason)
        kept.append(old if same and old else RelayState(url, status, reason, now_s))
    return replace(delivery, relays=tuple(kept))


def is_settled(delivery: Delivery) -> bool:
    """Say whether nothing is left to be sent."""
    return bool(delivery.relays) and all(s.status is not Status.PENDING for s in delivery.relays)


def give_up(delivery: Delivery, why: str, now_s: int) -> Delivery:
    """End what is still pending: the recipient is told nothing, the owner can see it."""
    return replace(
        delivery,
        relays=tuple(
            RelayState(s.url, Status.FAILED, f"{why}: {s.reason}" if s.reason else why, now_s)
            if s.status is Status.PENDING
            else s
            for s in delivery.relays
        ),
    )
